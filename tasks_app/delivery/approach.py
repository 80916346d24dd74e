"""What a leased destination is approached with: its secrets opened, for this attempt alone.

Nothing goes out unsigned or unauthenticated: what does not open raises, and the attempt is a fault.
"""

from tasks_app.connectors.auth.authorized import Access
from tasks_app.connectors.auth.certificates import Certificates
from tasks_app.connectors.auth.credentials import read_credentials
from tasks_app.models import Destination
from tasks_app.models.destination import SignatureScheme
from tasks_app.models.sealed import open_json, open_secret


def access_of(to: Destination) -> Access:
    """Return how to approach a destination.

    Raises tasks_app.security.encryption.EncryptionError where something does not open.
    """
    auth, tls = open_json(to, "auth"), open_json(to, "tls")
    return Access(
        destination=str(to.pk),
        url=to.url,
        headers=open_json(to, "headers"),
        credentials=read_credentials(auth) if auth else None,
        credentials_version=to.sealed_auth,
        certificates=Certificates.read(tls) if tls else None,
        certificates_version=to.sealed_tls,
    )


def signing_with(to: Destination) -> tuple[str, ...]:
    """Return the secrets and keys that sign: the current one of each first, then the old ones.

    Raises tasks_app.security.encryption.EncryptionError where one does not open.
    """
    opened: list[str] = []
    if to.signature != SignatureScheme.V1A:
        opened += _opened(to, "secret", to.sealed_secret, to.sealed_old_secret)
    if to.signature != SignatureScheme.V1:
        opened += _opened(to, "signing_key", to.sealed_signing_key, to.sealed_old_signing_key)
    return tuple(opened)


def _opened(to: Destination, place: str, current: str, old: str) -> list[str]:
    """Open both; there may be no old one, but always a current one."""
    sealed = (current, old) if old else (current,)
    return [open_secret(destination_id=to.pk, sealed=one, place=place) for one in sealed]
