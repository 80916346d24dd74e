"""Alice's workspace, seen through her own key."""

import pytest

from tasks_app.models import Workspace
from tests.support.callers import Caller, caller


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)
