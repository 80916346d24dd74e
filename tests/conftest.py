"""What every test may ask for."""

import pytest

from tasks_app.models import Workspace
from tests.support import factories

LONGEST = {"acceptance", "browser"}  # folders


@pytest.fixture
def workspace(db: None) -> Workspace:
    """Return a workspace of Alice's."""
    return factories.workspace()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that wait for whole processes: none is left for the end, alone."""
    items.sort(key=lambda item: not LONGEST & {folder.name for folder in item.path.parents})
