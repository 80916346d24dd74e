"""The Celery application. A message is a doorbell and carries no cargo."""

from celery import Celery

app = Celery("aftercommit")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tasks_app"])
