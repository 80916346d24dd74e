"""Bounded looks at what a process depends on. None raises, none waits for long."""

import redis
from django.db import Error, connection
from redis.backoff import NoBackoff
from redis.retry import Retry

BROKER_PATIENCE_SECONDS = 0.1


def database_answers() -> bool:
    """Tell whether PostgreSQL answers a statement."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        connection.close()  # or the next look would meet the same dead connection
        return False
    return True


def broker_answers(url: str) -> bool:
    """Tell whether Valkey answers a ping within 100 ms."""
    client = redis.Redis.from_url(
        url,
        socket_timeout=BROKER_PATIENCE_SECONDS,
        socket_connect_timeout=BROKER_PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
