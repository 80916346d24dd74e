"""Valkey: there, quick, with room, and forgetting nothing by itself that it should keep."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from django.conf import settings

from config.doctor.finding import Finding, fail, ok, warn
from tasks_app.events import wire

PATIENCE: Final = 2.0  # seconds
FULL: Final = 0.9
QUEUED: Final = 50  # bells; each job rings once a second at most


def look_at_broker() -> Iterator[Finding]:
    """The broker: it must refuse rather than forget."""
    info = _info(settings.REDIS_URL)
    if isinstance(info, Finding):
        yield info
        return
    yield from _health("broker", settings.REDIS_URL, info)
    policy = info["maxmemory_policy"]
    if policy != "noeviction":
        yield fail(
            "broker",
            f"its maxmemory-policy is {policy}: when it is full it forgets queues and bindings",
            "CONFIG SET maxmemory-policy noeviction, and in its configuration file.",
        )
    waiting = {queue: _length(queue) for queue in (wire.DRAIN_QUEUE, wire.SWEEP_QUEUE)}
    crowded = [f"{count} in {queue}" for queue, count in waiting.items() if count > QUEUED]
    if crowded:
        yield warn(
            "broker",
            f"bells pile up: {', '.join(crowded)}",
            "No worker takes them: start one with -Q drain,sweep. Old bells do no harm.",
        )


def look_at_cache() -> Iterator[Finding]:
    """The second server, where there is one."""
    if not settings.CACHE_URL:
        yield ok("cache", "the broker serves hints and limits too (CACHE_URL is not set)")
        return
    info = _info(settings.CACHE_URL)
    if isinstance(info, Finding):
        yield info
    else:
        yield from _health("cache", settings.CACHE_URL, info)


def _info(url: str) -> dict[str, Any] | Finding:
    name = "broker" if url == settings.REDIS_URL else "cache"
    variable = "REDIS_URL" if name == "broker" else "CACHE_URL"
    try:
        with redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
        ) as client:
            found: dict[str, Any] = client.info()
            return found
    except (redis.RedisError, OSError) as error:
        return fail(
            name,
            f"{_place(url)} does not answer ({type(error).__name__}); nothing is lost, but"
            " deliveries and screens wait",
            f"Start Valkey, or correct {variable} (and its password).",
        )


def _health(name: str, url: str, info: dict[str, Any]) -> Iterator[Finding]:
    version = info.get("valkey_version") or info["redis_version"]
    kept = "kept in a file" if info.get("aof_enabled") else "kept in memory only, as it may be"
    yield ok(name, f"{_place(url)}, version {version}, {kept}")
    if info.get("role") != "master":
        yield fail(name, "it is a read-only copy", "Point the address at the primary.")
    most, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    if not most:
        advice = "Set maxmemory, so that it can't take the whole machine."
        yield warn(name, "it has no limit of memory", advice)
    elif used > FULL * most:
        said = f"{used * 100 // most} % of its memory is taken"
        yield warn(name, said, "Raise maxmemory, or find what fills it: valkey-cli --bigkeys.")
    broken = [
        key for key in ("aof_last_write_status", "rdb_last_bgsave_status") if info.get(key) == "err"
    ]
    if broken:
        said = f"{', '.join(broken)}: it can't write to its disk, and refuses writes"
        yield fail(name, said, "Make room on its disk.")


def _length(queue: str) -> int:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE) as client:
        return int(client.llen(queue))


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
