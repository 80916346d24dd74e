"""Whatever dies: every event once and in order, and access that ended ends in time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.db import connection
from pytest_django.fixtures import Settings

from tasks_app.actions.api_key import revoke_key
from tasks_app.events.valkey import bell_client, breaker
from tests.support.factories import cause
from tests.support.servers import OwnServer, own_valkey
from tests.support.stream_client import Recorder, bearer, close_of, next_frame, socket_to
from tests.support.stream_process import StreamProcess, running_stream
from tests.support.stream_world import Member, Writers, new_member, write
from tests.support.threads import until

pytestmark = pytest.mark.timeout(180)
FLOWS_AGAIN = 15  # seconds after the last fault (contract §7)


@pytest.fixture
def valkey(settings: Settings) -> Iterator[OwnServer]:
    """Run a Valkey of the test's own, which this test's commits ring too."""
    with own_valkey() as server:
        settings.REDIS_URL = server.url
        _forget_bells()
        yield server
        bell_client().close()
        _forget_bells()


def _forget_bells() -> None:
    bell_client.cache_clear()
    breaker.cache_clear()


@pytest.fixture
def fragile(server: str, valkey: OwnServer, member: Member) -> Iterator[StreamProcess]:
    """Run a stream of the test's own, which hears hints through that Valkey."""
    with running_stream(server, REDIS_URL=valkey.url, STREAM_HEARTBEAT_SECONDS="1") as stream:
        yield stream


@pytest.fixture
def recorders(fragile: StreamProcess, member: Member) -> Iterator[list[Recorder]]:
    """Follow over both transports."""
    recorders = [Recorder(fragile, member.key, over=over) for over in ("websocket", "sse")]
    until(lambda: fragile.ready()[1]["followers"] == 2, "both follow")
    yield recorders
    for recorder in recorders:
        recorder.stop()


def test_whatever_happens_to_valkey_and_the_stream_no_event_is_missed_or_doubled(
    valkey: OwnServer, fragile: StreamProcess, recorders: list[Recorder], member: Member
) -> None:
    client = redis.Redis.from_url(valkey.url)

    def cut_subscribers() -> None:
        client.client_kill_filter(_type="pubsub")

    def restart_valkey() -> None:
        valkey.server.kill()
        valkey.server.start()

    total = 0
    for fault in (cut_subscribers, client.flushall, restart_valkey, fragile.restart):
        writers = Writers(member.workspace.pk, threads=2, each=20)
        fault()
        writers.join()
        total += writers.total
        for recorder in recorders:
            recorder.wait_for(total, FLOWS_AGAIN)
    client.close()
    for recorder in recorders:
        assert recorder.seqs == list(range(1, total + 1))
        assert recorder.resets == []
        assert recorder.connections == 2  # only the restart of the stream itself cut it
    until(lambda: fragile.ready()[1]["subscription"] == "alive", "it hears again", FLOWS_AGAIN)


def test_with_valkey_silent_all_goes_on_and_revocation_takes_seconds(
    valkey: OwnServer, fragile: StreamProcess, recorders: list[Recorder], member: Member
) -> None:
    leaving = new_member(member.workspace)
    with socket_to(fragile, headers=bearer(leaving.key)) as socket:
        next_frame(socket)
        valkey.server.freeze()
        try:
            write(member.workspace.pk, 3)
            for recorder in recorders:
                recorder.wait_for(3, FLOWS_AGAIN)
            with socket_to(fragile, "after=0", headers=bearer(member.key)) as late:
                assert next_frame(late)["head"] == 3
                assert next_frame(late)["seq"] == 1
            until(lambda: fragile.ready()[1]["subscription"] == "silent", "it knows", 15)
            assert fragile.ready()[0] == 200
            revoke_key(
                workspace_id=member.workspace.pk,
                api_key_id=leaving.api_key.pk,
                cause=cause(),
            )
            assert close_of(socket, 10)[0] == 4502
        finally:
            valkey.server.thaw()
    until(lambda: fragile.ready()[1]["subscription"] == "alive", "it hears again", FLOWS_AGAIN)


def test_a_follower_that_is_cut_again_and_again_sees_every_event_once(
    stream: StreamProcess, member: Member
) -> None:
    writers = Writers(member.workspace.pk, threads=4, each=60)
    recorders = [Recorder(stream, member.key, over=over) for over in ("websocket", "sse")]
    finished = threading.Event()

    def cut() -> None:
        while not finished.wait(0.05):
            recorders[0].cut()

    cutting = threading.Thread(target=cut)
    cutting.start()
    writers.join()
    finished.set()
    cutting.join()
    for recorder in recorders:
        recorder.wait_for(writers.total)
        recorder.stop()
        assert recorder.seqs == list(range(1, writers.total + 1))
    assert recorders[0].connections > 3


def test_connections_of_postgresql_that_are_cut_are_replaced(
    stream: StreamProcess, member: Member
) -> None:
    recorder = Recorder(stream, member.key, over="websocket")
    write(member.workspace.pk, 2)
    recorder.wait_for(2)
    connections = recorder.connections
    _cut_the_stream_s_connections()
    write(member.workspace.pk, 2)
    recorder.wait_for(4)
    recorder.stop()
    assert recorder.seqs == [1, 2, 3, 4]
    assert recorder.connections == connections  # whoever follows already is not cut off


def test_who_comes_after_a_restart_of_postgresql_is_let_in_at_once(
    stream: StreamProcess, member: Member
) -> None:
    """A pool that meets its dead connections one by one, with a pause after each, gives up."""
    _welcomes(stream, member, 24)  # by now it holds all the connections that it ever will
    _cut_the_stream_s_connections()
    with socket_to(stream, headers=bearer(member.key)) as socket:
        assert next_frame(socket)["type"] == "welcome"


def _welcomes(stream: StreamProcess, member: Member, count: int) -> list[str]:
    def first_frame(_number: int) -> str:
        with socket_to(stream, headers=bearer(member.key)) as socket:
            return str(next_frame(socket)["type"])

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(first_frame, range(count)))


def _cut_the_stream_s_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'stream' AND datname = current_database()"
        )


def test_with_valkey_gone_a_stream_still_says_goodbye_and_stops(
    valkey: OwnServer, fragile: StreamProcess, member: Member
) -> None:
    with socket_to(fragile, headers=bearer(member.key)) as socket:
        next_frame(socket)
        valkey.server.kill()
        until(lambda: fragile.ready()[1]["subscription"] == "silent", "it knows", 15)
        threading.Thread(target=fragile.terminate).start()
        assert close_of(socket)[0] == 4001
        assert fragile.terminate() == 0
