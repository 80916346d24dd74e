"""What a notice says, and to whom: a subject and a few lines, what happens next and what to do.

Links hold a proof that is made here and kept nowhere else; so nothing of a letter is ever logged.
"""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models.functions import Now

from tasks_app.models import (
    Destination,
    Invitation,
    Membership,
    Notice,
    NoticeKind,
    Role,
    Workspace,
)
from tasks_app.queries.invitation_link import token_of
from tasks_app.queries.password_link import link_for

SUBJECTS: Final = {
    NoticeKind.AUTO_PAUSED: "paused: {name}",
    NoticeKind.CIRCUIT_OPENED: "not reachable: {name}",
    NoticeKind.RECOVERED: "reachable again: {name}",
}
BODIES: Final = {
    NoticeKind.AUTO_PAUSED: (
        "Nothing is sent to the destination “{name}” any more: it was paused.\n{detail}\n\n"
        "No change is lost: what is to be told waits, and goes out in order once somebody"
        " resumes the destination (POST /api/v1/destinations/{id}/resume/).\n"
    ),
    NoticeKind.CIRCUIT_OPENED: (
        "The destination “{name}” fails again and again; last: {detail}.\n\n"
        "It is left alone for a while and then probed with one request at a time. No change is"
        " lost: once it answers, what waits goes out in order, slowly at first. You will be told.\n"
    ),
    NoticeKind.RECOVERED: (
        "The destination “{name}” answers again. What waited goes out in order.\n"
    ),
}


INVITED: Final = """\
{by} invites you to the workspace “{workspace}” of Aftercommit, as {role}.

To join, open this address; it holds until {until:%Y-%m-%d %H:%M} UTC and can be used once:
{url}

If you expected nothing like this, do nothing.
"""
FORGOTTEN: Final = """\
Somebody, perhaps you, asked for a new password of your account “{name}” of Aftercommit.

To choose one, open this address within {minutes} minutes; it can be used once:
{url}

All logins of the account end then. If it was not you, do nothing: nothing has changed.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail."""

    to: list[str]
    subject: str
    body: str = field(repr=False)


class Undeliverable(Exception):
    """There is nobody to tell, or nothing any more; the text is the notice's ``error``."""


def letter(notice: Notice) -> Letter:
    """Return the mail as of now. Raises Undeliverable and ObjectDoesNotExist."""
    match notice.kind:
        case NoticeKind.INVITATION:
            return _invitation(notice)
        case NoticeKind.PASSWORD_RESET:
            return _password_reset(notice)
    return _about_destination(notice)


def owners(workspace_id: uuid.UUID) -> list[str]:
    """Return the mail addresses of a workspace's owners."""
    rows = Membership.objects.at_work().filter(workspace_id=workspace_id, role=Role.OWNER)
    rows = rows.exclude(user__email="").order_by("user__email")
    return list(rows.values_list("user__email", flat=True).distinct())


def _invitation(notice: Notice) -> Letter:
    usable = Invitation.objects.usable().select_related("workspace")
    invitation = usable.filter(pk__in=[notice.invitation_id]).first()
    if invitation is None:
        raise Undeliverable("over")
    name = _one_line(invitation.workspace.name)
    body = INVITED.format(
        by=_one_line(invitation.invited_by),
        workspace=name,
        role=invitation.role,
        until=invitation.expires_at,
        url=f"{settings.PUBLIC_URL}/account/invitation/?token={token_of(invitation)}",
    )
    return Letter(to=[invitation.email], subject=f"Invitation to {name}", body=body)


def _password_reset(notice: Notice) -> Letter:
    patience = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
    if not Notice.objects.filter(pk=notice.pk, created_at__gt=Now() - patience).exists():
        raise Undeliverable("too_late")
    user = User.objects.filter(email__iexact=notice.address, is_active=True).first()
    if user is None:
        raise Undeliverable("unknown_address")
    uid, token = link_for(user)
    body = FORGOTTEN.format(
        name=user.get_username(),
        minutes=settings.PASSWORD_RESET_TIMEOUT // 60,
        url=f"{settings.PUBLIC_URL}/account/password/new/?uid={uid}&token={token}",
    )
    return Letter(to=[user.email], subject="A new password for Aftercommit", body=body)


def _about_destination(notice: Notice) -> Letter:
    destination = Destination.objects.get(pk__in=[notice.destination_id])
    workspace = Workspace.objects.get(pk=destination.workspace_id, deleted_at=None)
    to = owners(workspace.pk)
    if not to:
        raise Undeliverable("no_owner_has_an_address")
    kind = NoticeKind(notice.kind)
    name = _one_line(destination.name)
    words = {"name": name, "id": destination.pk, "detail": notice.detail or "no answer"}
    subject = f"[{workspace.slug}] {SUBJECTS[kind].format(**words)}"
    about = f"\nWorkspace: {workspace.name}\nDestination: {destination.pk}\nAt: {_at(notice)}\n"
    return Letter(to=to, subject=subject, body=BODIES[kind].format(**words) + about)


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _at(notice: Notice) -> str:
    return f"{notice.created_at:%Y-%m-%d %H:%M:%S} UTC"
