"""The ed25519 keys of a destination: made when first wanted, two of them while one is rotated."""

from typing import Any

from tasks_app.models import Destination
from tasks_app.models.destination import SignatureScheme
from tasks_app.models.sealed import if_it_opens, seal_secret
from tasks_app.security.signing import new_key_pair


def first_key(destination: Destination) -> dict[str, Any]:
    """Return the columns of a new key where the destination's signature needs one it has not."""
    if destination.signature == SignatureScheme.V1 or destination.sealed_signing_key:
        return {}
    return _new_key(destination)


def next_key(destination: Destination) -> dict[str, Any]:
    """Return the columns of a rotation; none where there is no key to rotate."""
    if not destination.sealed_signing_key:
        return {}
    return {
        "sealed_old_signing_key": if_it_opens(destination, "sealed_signing_key"),
        "old_public_key": destination.public_key,
        **_new_key(destination),
    }


def _new_key(destination: Destination) -> dict[str, Any]:
    pair = new_key_pair()
    sealed = seal_secret(destination_id=destination.pk, plain=pair.private, place="signing_key")
    return {"sealed_signing_key": sealed, "public_key": pair.public}
