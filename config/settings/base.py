"""What holds everywhere. Each concern has a file of its own; here they meet."""

from config.env import CHECKOUT, env
from config.settings.celery import *  # noqa: F403
from config.settings.channels import *  # noqa: F403
from config.settings.database import *  # noqa: F403
from config.settings.database import ROLE
from config.settings.delivery import *  # noqa: F403
from config.settings.demo import *  # noqa: F403
from config.settings.imports import *  # noqa: F403
from config.settings.login import *  # noqa: F403
from config.settings.logs import *  # noqa: F403
from config.settings.mail import *  # noqa: F403
from config.settings.metrics import *  # noqa: F403
from config.settings.people import *  # noqa: F403
from config.settings.rest import *  # noqa: F403
from config.settings.security import *  # noqa: F403
from config.settings.stream import *  # noqa: F403
from config.settings.valkey import *  # noqa: F403

BASE_DIR = CHECKOUT
DEBUG = False
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT", str(CHECKOUT / ".data" / "static"))
APPEND_SLASH = True

INSTALLED_APPS = [
    # Before staticfiles: its runserver serves everything in one process. What serves for good needs
    # no other server's reactor: a sixth of its start and of its memory.
    *(["daphne"] if ROLE == "command" else []),
    "config.apps.ConfigApp",
    "tasks_app.apps.TasksAppConfig",
    "realtime",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "channels",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
