"""The test suite: real PostgreSQL and Valkey, started by tests.support.servers."""

import os

os.environ.setdefault("SECRET_KEY", "test-only-not-a-secret")
os.environ.setdefault("ENCRYPTION_KEYS", "test:dGVzdC1vbmx5LW5vdC1hLXNlY3JldC0tMzItYnl0ZXM=")
os.environ.setdefault("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/unset")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")

from config.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.0/8"]
DEMO_ALLOWED = True
