"""The domain as a Django app."""

from django.apps import AppConfig


class TasksAppConfig(AppConfig):
    """Tasks, events, destinations, deliveries."""

    name = "tasks_app"
    verbose_name = "Aftercommit"
