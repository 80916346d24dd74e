"""A developer's machine and `make up`: plain HTTP on loopback, throw-away keys allowed."""

import os

os.environ.setdefault("SECRET_KEY", "local-only-not-a-secret")
os.environ.setdefault("ENCRYPTION_KEYS", "local:bG9jYWwtb25seS1ub3QtYS1zZWNyZXQtMzItYnl0ZXM=")

from config.settings.base import *  # noqa: F403
