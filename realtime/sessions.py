"""Who a session cookie stands for: the check of django.contrib.auth.get_user, without writing.

A session counts while its row is there, unexpired, its user active, and its hash made from the
password the user has now (or had under an older SECRET_KEY).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

Login = tuple[User, datetime]


def logins(session_keys: Iterable[str]) -> dict[str, Login]:
    """Return the user and the end of each session that is alive; two queries for all."""
    alive = Session.objects.filter(session_key__in=list(session_keys), expire_date__gt=Now())
    sessions = {session.session_key: session for session in alive}
    data: dict[str, dict[str, Any]] = {key: row.get_decoded() for key, row in sessions.items()}
    ids = {int(values.get(SESSION_KEY) or 0) for values in data.values()}
    users = User.objects.filter(is_active=True).in_bulk(list(ids))
    return {
        key: (user, sessions[key].expire_date)
        for key, values in data.items()
        if (user := users.get(int(values.get(SESSION_KEY) or 0))) and _hash_holds(user, values)
    }


def _hash_holds(user: User, values: dict[str, Any]) -> bool:
    shown = str(values.get(HASH_SESSION_KEY, ""))
    current = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(shown, known) for known in current)
