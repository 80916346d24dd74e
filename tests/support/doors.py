"""A Door of one test, and requests through it; no connection may be left over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tasks_app.connectors.http import Answer, Door, DoorFailure

LOOPBACK = ["127.0.0.1/32"]


@asynccontextmanager
async def a_door(**options: Any) -> AsyncIterator[Door]:
    """Make a Door to which loopback's first address is open."""
    door = Door(**({"allowed_networks": LOOPBACK} | options))
    try:
        yield door
        assert door.in_flight == 0, "a connection was not given back"
    finally:
        await door.aclose()


async def post(door: Door, url: str, **options: Any) -> Answer:
    """POST `{}`."""
    values: dict[str, Any] = {"method": "POST", "headers": {}, "body": b"{}", "timeout": 5.0}
    return await door.request(url=url, **(values | options))


async def failure(door: Door, url: str, **options: Any) -> DoorFailure:
    """POST `{}`, which must fail."""
    with pytest.raises(DoorFailure) as caught:
        await post(door, url, **options)
    assert door.in_flight == 0
    return caught.value
