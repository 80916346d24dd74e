"""The domain as a Django app, with the connectors that CONNECTORS names."""

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class TasksAppConfig(AppConfig):
    """Tasks, events, destinations, deliveries."""

    name = "tasks_app"
    verbose_name = "Aftercommit"

    def ready(self) -> None:
        """Let further connectors register themselves, before the API lists the kinds.

        Raises ImproperlyConfigured where one can't be imported or its kind is taken.
        """
        for module in settings.CONNECTORS:
            try:
                import_module(module)
            except (ImportError, ValueError, TypeError) as error:
                raise ImproperlyConfigured(f"CONNECTORS: {module}: {error}") from error
