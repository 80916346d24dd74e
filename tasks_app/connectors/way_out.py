"""The door as connectors see it: one request, guarded, and authorized where that is asked."""

import ssl
from collections.abc import Mapping
from typing import Protocol

from tasks_app.connectors.http import Answer


class WayOut(Protocol):
    """What a connector sends through; it knows neither credentials nor certificates."""

    async def request(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 - the door keeps it
    ) -> Answer:
        """Send one request. `timeout` is in seconds. Raises DoorFailure."""
        ...


class TlsWayOut(Protocol):
    """The same for whoever brings a TLS context along."""

    async def request(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 - the door keeps it
        tls: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send one request. `timeout` is in seconds. Raises DoorFailure."""
        ...
