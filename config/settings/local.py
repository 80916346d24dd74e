"""A developer's machine and `make up`: plain HTTP on loopback, throw-away keys allowed."""

from config.settings.base import *  # noqa: F403

DEMO_ALLOWED = True
