"""The drain's answer to its bell: from here on, the next commit rings again."""

import logging

import redis

from tasks_app.events import wire
from tasks_app.events.valkey import bell_client

logger = logging.getLogger(__name__)


def wake_heard() -> None:
    """Forget the wake that coalesces bells. Called before leasing, so that no wake is lost.

    With Valkey down there is nothing to do: the key lives for two seconds, and the sweep rings.
    """
    try:
        bell_client().delete(wire.DRAIN_WAKE_KEY)
    except (redis.RedisError, OSError):
        logger.debug("wake_not_cleared", exc_info=True)
