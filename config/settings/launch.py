"""`manage.py up` alone: it starts the servers that every other setting needs an address of."""

SECRET_KEY = "unused"  # noqa: S105 — the launcher signs nothing
INSTALLED_APPS = ["config.apps.ConfigApp"]
USE_TZ = True
