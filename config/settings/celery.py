"""Celery over Valkey: doorbells only, bounded in time, no results, JSON only."""

from typing import Any

from config.schedule import schedule
from config.settings.database import ROLE
from config.settings.valkey import CACHE_URL, REDIS_URL

PATIENT = ROLE in {"worker", "beat"}

CELERY_BROKER_URL = REDIS_URL
CELERY_BEAT_SCHEDULE = schedule
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_TASK_DEFAULT_QUEUE = "sweep"
CELERY_TASK_QUEUES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 65  # the longest attempt, 60 s, and its settling
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # drains own leases
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_DB_REUSE_MAX = 500  # or the fixup connects and closes around every task
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BEAT_SYNC_EVERY = 0
CELERY_BEAT_MAX_LOOP_INTERVAL = 1

# A request waits in Valkey for its rate limit and for two bells, in seconds: 250 ms for all three,
# and where there are two servers for four waits.
BELL_TIMEOUT_SECONDS = 0.06 if CACHE_URL else 0.08
BELL_BREAKER_SECONDS = 2.0

_patient: dict[str, Any] = {
    "visibility_timeout": 300,
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
}
_hasty: dict[str, Any] = {
    "socket_timeout": BELL_TIMEOUT_SECONDS,
    "socket_connect_timeout": BELL_TIMEOUT_SECONDS,
    "max_retries": 0,
}
CELERY_BROKER_TRANSPORT_OPTIONS = _patient if PATIENT else _hasty
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = BELL_TIMEOUT_SECONDS
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0.05,
    "interval_max": 0.1,
}
