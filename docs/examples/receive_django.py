"""A whole receiver in Django: verifies, works once per webhook-id, keeps the newest state.

Run it with `WEBHOOK_SECRET=whsec_… python receive_django.py 8002`, and name
http://…:8002/hook as the destination's url.
"""

import os
import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from standardwebhooks import Webhook, WebhookVerificationError

DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("DATABASE", "got.db")}
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DATABASES={"default": DATABASE})
django.setup()


class Seen(models.Model):
    """One delivery that was worked on."""

    id = models.CharField(primary_key=True, max_length=80)

    class Meta:
        app_label = "receiver"

    def __str__(self) -> str:
        return str(self.pk)


class Twin(models.Model):
    """What this system knows of a task."""

    id = models.UUIDField(primary_key=True)
    version = models.IntegerField()
    title = models.TextField()

    class Meta:
        app_label = "receiver"

    def __str__(self) -> str:
        return str(self.pk)


# --- the receiver: from here on it is what you would write
@csrf_exempt
@require_POST
def hook(request: HttpRequest) -> HttpResponse:
    """Answer 204 for what is ours, however often it comes, and 401 for anything else."""
    try:
        message = Webhook(os.environ["WEBHOOK_SECRET"]).verify(request.body, request.headers)
    except (WebhookVerificationError, ValueError):  # ValueError: no signature at all
        return HttpResponse(status=401)
    with transaction.atomic():  # both or neither: a crash in between lets it come again
        _, is_new = Seen.objects.get_or_create(id=request.headers["webhook-id"])
        if is_new:
            work(message["data"])
    return HttpResponse(status=204)


def work(event: dict) -> None:
    """Keep the newest state; an older one may come later when it was sent again by hand."""
    task = event.get("task")  # a ping has none
    known = Twin.objects.filter(id=task["id"]).first() if task else None
    if task and (known is None or known.version < task["version"]):
        values = {"version": task["version"], "title": task["title"]}
        Twin.objects.update_or_create(id=task["id"], defaults=values)


# --- the rest is what a project of yours has already
urlpatterns = [path("hook", hook)]

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        for model in (Seen, Twin):
            if model._meta.db_table not in connection.introspection.table_names():
                editor.create_model(model)
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
