"""Who lives: workers and beat by their signs of life, api and stream by their answers."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.db.models import Max
from django.db.models.functions import Now

from config.doctor.finding import Finding, Look, fail, ok, warn
from tasks_app.models import ProcessBeat
from tasks_app.queries.liveness import living_processes

PATIENCE: Final = 5.0  # seconds
START: Final = {
    "worker": "Start one: `python -m config.roles worker` (compose: `up -d worker`).",
    "beat": "Start one: `python -m config.roles beat`, and a worker on the queue sweep: beat is"
    " seen by its sweeps, so it needs Valkey and a worker too.",
}


def look_at_workers() -> Iterator[Finding]:
    """Whether anybody delivers, and anybody rings for it."""
    living = living_processes()
    for kind, advice in START.items():
        count = living.get(kind, 0)
        if count:
            shown = f"{count} worker processes show" if kind == "worker" else "its sweeps show"
            yield ok(kind, f"{shown} signs of life")
        else:
            yield fail(kind, f"no sign of life for 6 s; the last {_last(kind)}", advice)


def _last(kind: str) -> str:
    found = ProcessBeat.objects.filter(kind=kind).aggregate(ago=Now() - Max("seen_at"))["ago"]
    return "was never" if found is None else f"was {found.total_seconds():.0f} s ago"


def looks_at_addresses(url: str) -> Look:
    """Return a look at api and stream by the one address."""

    def look() -> Iterator[Finding]:
        yield from _api(f"{url}/readyz")
        yield from _stream(f"{url}/stream/readyz")

    return look


def _api(url: str) -> Iterator[Finding]:
    status, body = _ask(url)
    if status == 200:
        yield ok("api", f"{url}: {body.get('status')}")
        return
    advice = "Start proxy and api, or name their address with --url (or PUBLIC_URL)."
    yield fail("api", f"{url}: {status or body['error']}", advice)


def _stream(url: str) -> Iterator[Finding]:
    status, body = _ask(url)
    checks: dict[str, Any] = body.get("checks", {})
    if status != 200:
        advice = "Start proxy and stream, or name their address with --url (or PUBLIC_URL)."
        yield fail("stream", f"{url}: {status or body['error']}", advice)
    elif checks.get("subscription") != "alive":
        yield warn(
            "stream",
            f"{url}: it hears no hints, so followers are up to 3 s late",
            f"Check {'CACHE_URL' if settings.CACHE_URL else 'REDIS_URL'} of the stream.",
        )
    else:
        yield ok("stream", f"{url}: ready, {checks.get('followers', 0)} followers")


def _ask(url: str) -> tuple[int, dict[str, Any]]:
    """Return status and body; status 0 and an error where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - the operator's
            return int(answer.status), _read(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _read(error.read())
    except (OSError, ValueError) as error:
        return 0, {"error": str(getattr(error, "reason", error))[:200]}


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
