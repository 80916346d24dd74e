"""How often one may ask: per key, per logged-in user, and per address where nobody is known yet.

Counted in Valkey by one script, so the limit holds across all processes. Without Valkey nobody is
refused: a limit protects the service from its users, and must not be what takes it down.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import redis
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tasks_app.api.errors import refused
from tasks_app.events.valkey import cache_breaker, cache_client
from tasks_app.exceptions import RateLimited
from tasks_app.queries.principal import Account, Principal
from tasks_app.security.client_address import client_address
from tasks_app.security.rate_limit import SCRIPT, Policy, Verdict

logger = logging.getLogger(__name__)

PREFIX: Final = "aftercommit:limit:"
Answer = Callable[[HttpRequest], HttpResponseBase]


def limit_principal(request: HttpRequest, principal: Account | Principal) -> None:
    """Count a request of a key, or of a user whatever their sessions, once.

    Raises RateLimited.
    """
    if getattr(request, "rate_limit", None) is None:
        kind = "user" if principal.api_key_id is None else "key"
        policy = _policy_of(kind, principal.requests_per_minute)
        _count(request, policy, str(principal.api_key_id or principal.user_id))


def limit_address(request: HttpRequest, purpose: str) -> None:
    """Count a request of an address for a purpose, such as ``login``. Raises RateLimited.

    For what asks before anybody is known: logins, password resets, invitations.
    """
    per_minute = settings.RATE_LIMIT_ADDRESS_PER_MINUTE
    policy = Policy(name=purpose, per_minute=per_minute, burst=per_minute) if per_minute else None
    _count(request, policy, client_address(request.META))


def limited_by_address(purpose: str) -> Callable[[Answer], Answer]:
    """Wrap a view of Django's own: what it is sent counts for the address, and 429 beyond it."""

    def decorate(view: Answer) -> Answer:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                if request.method == "POST":
                    limit_address(request, purpose)
            except RateLimited as refusal:
                return refused(request, refusal)
            return view(request, *args, **kwargs)

        return limited

    return decorate


class RateLimitMiddleware:
    """Tells in every answer that was counted what remains, whatever the answer is."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then tell."""
        response = self.get_response(request)
        verdict: Verdict | None = getattr(request, "rate_limit", None)
        for name, value in verdict.headers().items() if verdict else ():
            response[name] = value
        return response


def _policy_of(kind: str, own: int | None) -> Policy | None:
    """Return the policy of a key with a limit of its own or none; None where there is no limit."""
    usual = settings.RATE_LIMIT_PER_MINUTE
    per_minute = usual if own is None else own
    if not per_minute:
        return None
    burst = settings.RATE_LIMIT_BURST
    if own is not None and usual:
        burst = max(1, burst * own // usual)
    return Policy(name=kind, per_minute=per_minute, burst=burst)


def _count(request: HttpRequest, policy: Policy | None, whose: str) -> None:
    if policy is None or cache_breaker().is_open:
        return
    try:
        verdict = _ask(policy, whose)
    except (redis.RedisError, OSError):
        cache_breaker().trip()
        logger.warning("rate_limit_unavailable", exc_info=True)
        return
    request.rate_limit = verdict  # type: ignore[attr-defined]
    if not verdict.allowed:
        raise RateLimited(policy=policy.name, retry_after=verdict.retry_after)


def _ask(policy: Policy, whose: str) -> Verdict:
    script = cache_client().register_script(SCRIPT)
    name = f"{PREFIX}{policy.name}:{whose}"
    allowed, remaining, wait = script(keys=[name], args=[policy.interval, policy.burst])
    return Verdict(policy=policy, allowed=bool(allowed), remaining=remaining, wait=wait)
