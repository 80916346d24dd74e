"""One running house for the tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.support.house import House, running_house


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Return a house as `make up` starts it, with two workers."""
    with running_house(WORKERS="2") as running:
        yield running
