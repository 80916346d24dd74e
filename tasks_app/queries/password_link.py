"""Links to a new password: Django's own tokens, made when the mail is sent and kept nowhere.

A token is signed over the user's password and last login, so using it once, or logging in, ends
it; PASSWORD_RESET_TIMEOUT does too.
"""

from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode


def link_for(user: User) -> tuple[str, str]:
    """Return the two parts of a new link: who, and the proof."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return uid, default_token_generator.make_token(user)


def user_of_link(uid: str, token: str, *, lock: bool = False) -> User | None:
    """Return whose link it is, their row locked if asked; None where it holds no more."""
    try:
        pk = int(urlsafe_base64_decode(uid))
    except ValueError:
        return None
    rows = User.objects.filter(pk=pk if 0 < pk < 2**31 else 0, is_active=True)
    user = (rows.select_for_update(no_key=True) if lock else rows).first()
    return user if default_token_generator.check_token(user, token) else None
