"""What every test may ask for."""

import pytest

from tasks_app.models import Workspace
from tests.support import factories


@pytest.fixture
def workspace(db: None) -> Workspace:
    """Return a workspace of Alice's."""
    return factories.workspace()
