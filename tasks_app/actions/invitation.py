"""Invitations: sent, sent anew, revoked, accepted. The mail goes by the outbox, after the commit.

Lock order: the workspace's row, the invitation, then the head.
"""

import uuid
from typing import Any, Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now

from tasks_app.actions.taken import refused_where_taken
from tasks_app.actions.workspace import locked_workspace
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.people import invitation_snapshot, member_snapshot, record_people
from tasks_app.exceptions import Conflict, FieldError, Invalid, InvitationOver, NotFound
from tasks_app.models import Invitation, Membership, Notice, NoticeKind
from tasks_app.models.invitation import INVITATION_LIVES
from tasks_app.queries.invitation_link import invitation_of

MOST_ISSUES: Final = 20  # mails a week to somebody who never asked for any, by one workspace
MOST_ISSUES_OF_ALL: Final = 60  # by all workspaces
MOST_OPEN: Final = 100  # invitations of one workspace

_NAME_TAKEN: Final = ("/username", "Another user has this name.")
_MAIL_TAKEN: Final = ("user_email_once", "/email", "This address has an account: log in first.")


@transaction.atomic
def invite(
    *,
    workspace_id: uuid.UUID,
    email: str,
    role: str,
    cause: Cause,
    inviter_id: uuid.UUID | None = None,
) -> Invitation:
    """Invite an address; the answer is the same whether it has an account or not.

    ``inviter_id`` is the membership of who invites. Raises NotFound, Invalid where the address
    belongs to a member or is invited already, and Conflict where there are too many.
    """
    locked_workspace(workspace_id)
    if Membership.objects.in_workspace(workspace_id).filter(user__email__iexact=email).exists():
        raise Invalid(errors=(FieldError("/email", "already_member", "This is a member."),))
    waiting = Invitation.objects.in_workspace(workspace_id).open().filter(email__iexact=email)
    if waiting.filter(expires_at__gt=Now()).exists():
        detail = "This address is invited already; send that invitation again."
        raise Invalid(errors=(FieldError("/email", "already_invited", detail),))
    waiting.update(revoked_at=Now())
    if Invitation.objects.in_workspace(workspace_id).open().count() >= MOST_OPEN:
        raise Conflict(f"{MOST_OPEN} invitations are open: revoke those that nobody will use.")
    _spare(workspace_id, email)
    invitation = Invitation.objects.create(
        workspace_id=workspace_id,
        email=email,
        role=role,
        invited_by=cause.name,
        inviter_id=inviter_id,
        expires_at=Now() + INVITATION_LIVES,
    )
    _post(invitation)
    return _recorded(invitation, EventType.INVITATION_CREATED, cause)


@transaction.atomic
def resend(*, workspace_id: uuid.UUID, invitation_id: uuid.UUID, cause: Cause) -> Invitation:
    """Send an invitation anew, for seven days from now; the earlier link dies.

    Raises NotFound, InvitationOver, and Conflict where that was done too often.
    """
    invitation = _locked(workspace_id, invitation_id)
    if invitation.accepted_at is not None or invitation.revoked_at is not None:
        raise InvitationOver
    if invitation.issue >= MOST_ISSUES:
        raise Conflict(f"It was sent {MOST_ISSUES} times: revoke it, and ask the person.")
    _spare(workspace_id, invitation.email)
    invitation.issue += 1
    invitation.expires_at = Now() + INVITATION_LIVES
    invitation.save(update_fields=["issue", "expires_at"])
    _post(invitation)
    return _recorded(invitation, EventType.INVITATION_RESENT, cause)


@transaction.atomic
def revoke_invitation(*, workspace_id: uuid.UUID, invitation_id: uuid.UUID, cause: Cause) -> None:
    """Let a link die before it is used. Raises NotFound, and InvitationOver where it was used."""
    invitation = _locked(workspace_id, invitation_id)
    if invitation.accepted_at is not None:
        raise InvitationOver
    if invitation.revoked_at is None:
        Invitation.objects.filter(pk=invitation_id).update(revoked_at=Now())
        _recorded(invitation, EventType.INVITATION_REVOKED, cause)


def revoke_all_by(*, workspace_id: uuid.UUID, inviter_id: uuid.UUID, cause: Cause) -> None:
    """Let the open invitations of a member who may invite no more die with it.

    Within the caller's transaction, which has locked the workspace.
    """
    rows = Invitation.objects.in_workspace(workspace_id).open().filter(inviter_id=inviter_id)
    for invitation in rows.order_by("pk").select_for_update(no_key=True):
        Invitation.objects.filter(pk=invitation.pk).update(revoked_at=Now())
        _recorded(invitation, EventType.INVITATION_REVOKED, cause)


@transaction.atomic
def accept(*, token: str, user: User, request_id: str = "") -> Membership:
    """Let a user join by a link, which is then used up.

    Raises InvitationOver where the link holds no more, and Conflict for who is a member already.
    """
    return _joined(_usable(token), user, request_id)


def accept_as_new(*, token: str, username: str, password: str, request_id: str = "") -> Membership:
    """Make an account with the invited address, and let it join.

    Raises InvitationOver, and Invalid where name or address have an account.
    """
    hashed = make_password(password)  # slow on purpose, so not while rows are locked
    with (
        refused_where_taken("auth_user_username_key", *_NAME_TAKEN),
        refused_where_taken("user_name_once", *_NAME_TAKEN),
        refused_where_taken(*_MAIL_TAKEN),
        transaction.atomic(),
    ):
        invitation = _usable(token)
        user = User.objects.create(username=username, email=invitation.email, password=hashed)
        return _joined(invitation, user, request_id)


def _joined(invitation: Invitation, user: User, request_id: str) -> Membership:
    members = Membership.objects.in_workspace(invitation.workspace_id)
    if members.filter(user=user).exists():
        raise Conflict("You are a member of this workspace already.")
    member = members.create(workspace_id=invitation.workspace_id, user=user, role=invitation.role)
    Invitation.objects.filter(pk=invitation.pk).update(accepted_at=Now(), accepted_by=user)
    cause = Cause(kind="user", name=user.get_username(), id=str(user.pk), request_id=request_id)
    told: dict[str, Any] = {
        "member": member_snapshot(member),
        "invitation": invitation_snapshot(invitation),
    }
    record_people(invitation.workspace_id, EventType.MEMBER_ADDED, cause, **told)
    return member


def _usable(token: str) -> Invitation:
    """Return the invitation of a link, locked, as it is once its workspace is locked."""
    found = invitation_of(token)
    if found is None:
        raise InvitationOver
    invitation = _locked(found.workspace_id, found.pk)
    if not Invitation.objects.usable().filter(pk=found.pk, issue=found.issue).exists():
        raise InvitationOver
    return invitation


def _locked(workspace_id: uuid.UUID, invitation_id: uuid.UUID) -> Invitation:
    locked_workspace(workspace_id)
    rows = Invitation.objects.in_workspace(workspace_id).select_for_update(no_key=True)
    invitation = rows.filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound
    return invitation


def _spare(workspace_id: uuid.UUID, email: str) -> None:
    """Raise Conflict where an address has had enough mails, also by what was revoked since."""
    sent = Invitation.objects.sent_lately(email).aggregate(
        all=Sum("issue", default=0),
        own=Sum("issue", filter=Q(workspace_id=workspace_id), default=0),
    )
    if sent["own"] >= MOST_ISSUES or sent["all"] >= MOST_ISSUES_OF_ALL:
        raise Conflict("This address has had too many invitations this week: ask the person.")


def _post(invitation: Invitation) -> None:
    Notice.objects.create(
        kind=NoticeKind.INVITATION,
        workspace_id=invitation.workspace_id,
        invitation_id=invitation.pk,
    )


def _recorded(invitation: Invitation, kind: EventType, cause: Cause) -> Invitation:
    invitation.refresh_from_db()
    told = invitation_snapshot(invitation)
    record_people(invitation.workspace_id, kind, cause, invitation=told)
    return invitation
