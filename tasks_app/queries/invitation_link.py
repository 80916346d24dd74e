"""Links of invitations: signed, made when the mail is sent, and kept nowhere, not even hashed.

Whoever reads the database cannot join by what is in it. Signed over id and issue, so that sending
anew ends the earlier link.
"""

import uuid
from typing import Final

from django.core import signing

from tasks_app.models import Invitation

_SALT: Final = "aftercommit.invitation"


def token_of(invitation: Invitation) -> str:
    """Return the token of the current issue; it needs no quoting in a URL."""
    return signing.Signer(salt=_SALT).sign_object([invitation.pk.hex, invitation.issue])


def invitation_of(token: str) -> Invitation | None:
    """Return the invitation by which one may join now; None where the link holds no more."""
    try:
        pk, issue = signing.Signer(salt=_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError):
        return None
    rows = Invitation.objects.usable().select_related("workspace")
    return rows.filter(pk=uuid.UUID(pk), issue=issue).first()
