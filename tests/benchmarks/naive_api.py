"""The peer of bench_accept: how a Celery-backed task API is usually written first.

ModelViewSet, ModelSerializer, the browsable defaults of Django REST framework, a token looked up
with the ORM, one `.delay()` for every request after the save. Same PostgreSQL, same Valkey, same
granian, same number of threads. It records no event and no delivery, so it does less.
"""

import os
import sys
import uuid
from typing import Any, ClassVar

import django
from celery import Celery
from django.conf import settings

from config.settings.database import parse_database_url

settings.configure(
    SECRET_KEY="naive",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    DATABASES={"default": {**parse_database_url(os.environ["DATABASE_URL"]), "CONN_MAX_AGE": 600}},
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - settings come first
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework import authentication, exceptions, routers, serializers, viewsets  # noqa: E402

celery = Celery("naive", broker=os.environ["REDIS_URL"])
celery.conf.task_ignore_result = True
celery.conf.task_default_queue = "naive"


@celery.task(name="naive.sync")  # type: ignore[untyped-decorator]
def sync(task_id: str) -> None:
    """Stand for the call to the external system; nobody runs it here."""


class Token(models.Model):
    """An API token."""

    key = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(User, models.CASCADE)
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return self.key


class Task(models.Model):
    """A task."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    status = models.CharField(max_length=12, default="open")
    priority = models.CharField(max_length=8, default="normal")
    labels = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return self.title


class TokenAuthentication(authentication.BaseAuthentication):
    """Looks the token up."""

    def authenticate(self, request: Any) -> tuple[User, Token]:
        """Return who it is."""
        given = request.META.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        token = Token.objects.select_related("user").filter(key=given).first()
        if token is None:
            raise exceptions.AuthenticationFailed
        return token.user, token


class TaskSerializer(serializers.ModelSerializer[Task]):
    """All fields."""

    class Meta:
        model = Task
        fields = "__all__"


class TaskViewSet(viewsets.ModelViewSet[Task]):
    """The whole API."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    authentication_classes = [TokenAuthentication]

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        """Save, and send one message once that is committed."""
        task = serializer.save()
        transaction.on_commit(lambda: sync.delay(str(task.pk)))


router = routers.DefaultRouter()
router.register("tasks", TaskViewSet)
urlpatterns = [
    path("healthz", lambda _: HttpResponse("ok")),
    path("api/v1/", include(router.urls)),
]


def prepare(token: str) -> None:
    """Make the tables, one user and their token."""
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Token)
        editor.create_model(Task)
    Token.objects.create(key=token, user=User.objects.create_user("demo"))


application = get_wsgi_application()
if __name__ == "__main__":
    prepare(sys.argv[1])
