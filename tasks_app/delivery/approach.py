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
    shared = (to.sealed_secret, to.sealed_old_secret)
    keys = (to.sealed_signing_key, to.sealed_old_signing_key)
    opened: list[str] = []
    if to.signature != SignatureScheme.V1A:
        opened += [open_secret(destination_id=to.pk, sealed=one) for one in shared if one]
    if to.signature != SignatureScheme.V1:
        opened += [_key(to, one) for one in keys if one]
    return tuple(opened)


def _key(to: Destination, sealed: str) -> str:
    return open_secret(destination_id=to.pk, sealed=sealed, place="signing_key")
