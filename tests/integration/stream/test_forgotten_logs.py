"""Retention and the stream: whoever comes back to what was erased is told to load anew."""

import pytest

from tests.integration.stream.conftest import SERVERS
from tests.integration.test_retention import forget, past
from tests.support.stream_client import bearer, next_frame, socket_to
from tests.support.stream_process import StreamProcess
from tests.support.stream_world import Member, write


@pytest.mark.parametrize("server", SERVERS[:1])
def test_a_cursor_in_what_retention_has_erased_is_reset_and_then_live(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk, 3)
    past(member.workspace, 91)
    write(member.workspace.pk, 2)
    assert forget() > 0
    with socket_to(stream, "after=1", headers=bearer(member.key)) as socket:
        next_frame(socket)
        reset = next_frame(socket)
        assert (reset["type"], reset["head"]) == ("reset", 5)
        write(member.workspace.pk, 1)
        assert next_frame(socket)["seq"] == 6
    with socket_to(stream, "after=3", headers=bearer(member.key)) as socket:
        next_frame(socket)
        assert next_frame(socket)["seq"] == 4
