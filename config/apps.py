"""Loads the Celery app with Django, so that whoever commits can ring it."""

from django.apps import AppConfig

from config.celery import app as celery_app

__all__ = ["ConfigApp", "celery_app"]


class ConfigApp(AppConfig):
    """The composition root as an app: its management commands are found through it."""

    name = "config"
