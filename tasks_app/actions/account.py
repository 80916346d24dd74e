"""Accounts, whatever workspaces they are in: shut out, a link to a new password, a new password.

Who asks for a link hears nothing of whether there is such an account: the request writes one row
and looks nobody up. Whose address it is, is asked when the mail is sent (delivery/post.py).
"""

import uuid
from typing import Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import connection, transaction

from tasks_app.events.access_hook import tell_access_changed
from tasks_app.exceptions import NotFound
from tasks_app.models import NoticeKind, uuid7
from tasks_app.queries.password_link import user_of_link

# One mail a minute and address: more would only fill a stranger's box.
_ASK: Final = """
    INSERT INTO notice (id, kind, address, detail, created_at, next_try_at, tries, error)
    SELECT %s::uuid, %s::text, %s::text, '', statement_timestamp(), statement_timestamp(), 0, ''
    WHERE NOT EXISTS (
        SELECT 1 FROM notice WHERE kind = 'password_reset' AND lower(address) = lower(%s::text)
        AND created_at > statement_timestamp() - interval '1 minute')
"""


@transaction.atomic
def disable_user(*, user_id: int) -> None:
    """Shut a user out everywhere, sessions and keys alike. Raises NotFound."""
    if not User.objects.filter(pk=user_id).update(is_active=False):
        raise NotFound
    tell_access_changed(None)


def ask_for_password(*, address: str) -> None:
    """Have a link to a new password mailed there, if that is somebody's address."""
    new: uuid.UUID = uuid7()
    with connection.cursor() as cursor:
        cursor.execute(_ASK, [new, NoticeKind.PASSWORD_RESET.value, address, address])


def reset_password(*, uid: str, token: str, password: str) -> User | None:
    """Set a new password by a link, which then is used up; None where the link holds no more.

    All sessions of the user end, streams too. Keys live on: they are revoked by themselves.
    """
    hashed = make_password(password)  # slow on purpose, so not while a row is locked
    with transaction.atomic():
        user = user_of_link(uid, token, lock=True)
        if user is not None:
            _set(user, hashed)
    return user


@transaction.atomic
def change_password(*, user: User, password: str | None) -> None:
    """Set the password that a user, or an operator for them, has chosen; None for none at all.

    Their other sessions end, and their streams.
    """
    _set(user, make_password(password))


def _set(user: User, hashed: str) -> None:
    user.password = hashed
    user.save(update_fields=["password"])
    tell_access_changed(None)
