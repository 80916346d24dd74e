"""Every HTTP route of `api`."""

from django.urls import URLPattern, URLResolver, include, path

from tasks_app.admin import site
from tasks_app.api.docs import DocsView, schema
from tasks_app.api.health import healthz, readyz
from tasks_app.api.metrics import metrics
from tasks_app.api.throttles import limited_by_address

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/v1/", include("tasks_app.api.urls")),
    path("api/schema/", schema, name="schema"),
    path("api/docs/", DocsView.as_view(), name="docs"),
    path("account/", include("tasks_app.api.account")),
    path("api/auth/", include("tasks_app.api.login")),
    path("admin/login/", limited_by_address("login")(site.login)),
    path("admin/", site.urls),
]

handler400 = "tasks_app.api.errors.bad_request"
handler403 = "tasks_app.api.errors.permission_denied"
handler404 = "tasks_app.api.errors.not_found"
handler500 = "tasks_app.api.errors.server_error"
