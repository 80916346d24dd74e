"""A developer's machine and `make up`: plain HTTP on loopback, throw-away keys allowed."""

from config.settings.base import *  # noqa: F403
from config.settings.base import METRICS_ALLOWED_NETWORKS

DEMO_ALLOWED = True
METRICS_ALLOWED_NETWORKS = METRICS_ALLOWED_NETWORKS or ["127.0.0.0/8", "::1/128"]
