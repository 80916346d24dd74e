"""`/api/auth/`: the login of people, for the browsable API and the documentation's page.

The names are those that Django REST framework's own pages link to.
"""

from typing import Final

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from tasks_app.api.throttles import limited_by_address

app_name: Final = "rest_framework"

login = limited_by_address("login")(LoginView.as_view(template_name="rest_framework/login.html"))

urlpatterns = [
    path("login/", login, name="login"),
    path("logout/", LogoutView.as_view(next_page="rest_framework:login"), name="logout"),
]
