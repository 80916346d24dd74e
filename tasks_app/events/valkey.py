"""This process's way to Valkey for what a request does there: bounded waits, and one breaker.

A request waits there three times at most: for its rate limit and for its two bells. Each wait is
bounded by BELL_TIMEOUT_SECONDS, and after the first failure nobody tries again for
BELL_BREAKER_SECONDS; so with Valkey down or silent, an answer comes at most 250 ms late, and only
one in so many seconds. With a second server (CACHE_URL) it is four waits, each a shorter one, and
each server has a breaker of its own: the death of one silences nothing of the other.
"""

import time
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


class Breaker:
    """After a failure, nobody tries again for a while. Not exact across threads; need not be."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._closed_from = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether to stay away."""
        return time.monotonic() < self._closed_from

    def trip(self) -> None:
        """Stay away from now on."""
        self._closed_from = time.monotonic() + self.seconds


@cache
def bell_client() -> redis.Redis:
    """Return this process's client of the broker, every wait of which is bounded."""
    return _client(settings.REDIS_URL)


@cache
def breaker() -> Breaker:
    """Return this process's breaker of the broker."""
    return Breaker(settings.BELL_BREAKER_SECONDS)


def cache_client() -> redis.Redis:
    """Return this process's client for hints and limits: of a server of their own, if there is."""
    return _second_client() if settings.CACHE_URL else bell_client()


def cache_breaker() -> Breaker:
    """Return the breaker of the same server."""
    return _second_breaker() if settings.CACHE_URL else breaker()


@cache
def _second_client() -> redis.Redis:
    return _client(settings.CACHE_URL)


@cache
def _second_breaker() -> Breaker:
    return Breaker(settings.BELL_BREAKER_SECONDS)


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.BELL_TIMEOUT_SECONDS,
        socket_connect_timeout=settings.BELL_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        max_connections=200,
    )
