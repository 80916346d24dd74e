"""Which connectors there are: a new one registers itself here and the engine finds it by kind."""

from tasks_app.connectors.base import HTTP, Connector
from tasks_app.connectors.mail import MailConnector
from tasks_app.connectors.rest import RestConnector
from tasks_app.connectors.webhook import WebhookConnector

_connectors: dict[str, Connector] = {}


class UnknownConnector(LookupError):
    """No connector of this kind is registered."""


def register(connector: Connector) -> None:
    """Make a connector known by its `kind`. Raises ValueError where the kind is taken."""
    if connector.kind in _connectors:
        raise ValueError(f"a connector of kind {connector.kind!r} is registered already")
    _connectors[connector.kind] = connector


def connector_for(kind: str) -> Connector:
    """Find the connector of a kind. Raises UnknownConnector."""
    try:
        return _connectors[kind]
    except KeyError:
        raise UnknownConnector(kind) from None


def methods() -> tuple[str, ...]:
    """List what any kind may send."""
    return tuple(sorted({method for one in _connectors.values() for method in one.methods}))


def schemes() -> frozenset[str]:
    """List the schemes of addresses that are not the Door's."""
    return frozenset(one.scheme for one in _connectors.values()) - {HTTP}


def mirrors(kind: str) -> bool:
    """Tell whether destinations of this kind keep twins; an unknown kind keeps none."""
    return kind in _connectors and _connectors[kind].mirrors


def kinds() -> tuple[str, ...]:
    """List the kinds that are registered, in alphabetical order."""
    return tuple(sorted(_connectors))


register(WebhookConnector())
register(RestConnector())
register(MailConnector())
