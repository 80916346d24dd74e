"""With a second Valkey for hints and limits, the death of either silences nothing of the other."""

from collections.abc import Iterator

import pytest
import redis
from kombu import pools
from pytest_django.fixtures import Settings

from config.celery import app
from tasks_app.actions.task import create_task
from tasks_app.events import valkey as ways
from tasks_app.events import wire
from tasks_app.models import Workspace
from tests.support.factories import cause
from tests.support.servers import OwnServer, own_valkey

pytestmark = pytest.mark.django_db(transaction=True)


def forget() -> None:
    """Let this process remember no server."""
    for known in (ways.bell_client, ways.breaker, ways._second_client, ways._second_breaker):
        known.cache_clear()
    pools.reset()  # type: ignore[no-untyped-call]
    app._after_fork()


@pytest.fixture
def second(settings: Settings) -> Iterator[OwnServer]:
    with own_valkey() as server:
        settings.CACHE_URL = server.url
        forget()
        yield server
    settings.CACHE_URL = ""
    forget()


@pytest.fixture
def broker(settings: Settings) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(wire.DRAIN_WAKE_KEY, wire.DRAIN_QUEUE)
    yield client
    client.delete(wire.DRAIN_WAKE_KEY, wire.DRAIN_QUEUE)
    client.close()


def create(workspace: Workspace) -> None:
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())


def test_hints_go_to_the_second_and_the_drain_is_rung_at_the_first(
    workspace: Workspace, second: OwnServer, broker: "redis.Redis"
) -> None:
    with redis.Redis.from_url(second.url) as client, client.pubsub() as ear:
        ear.psubscribe("*")
        assert ear.get_message(timeout=10)
        create(workspace)
        heard = ear.get_message(timeout=10)
    assert heard is not None
    assert wire.workspace_group(workspace.pk) in heard["channel"].decode()
    assert broker.llen(wire.DRAIN_QUEUE) == 1


def test_without_the_second_the_drain_is_rung_all_the_same(
    workspace: Workspace, second: OwnServer, broker: "redis.Redis"
) -> None:
    second.server.kill()
    create(workspace)
    assert broker.llen(wire.DRAIN_QUEUE) == 1
    assert ways.cache_breaker().is_open
    assert not ways.breaker().is_open


def test_without_the_first_hints_go_out_all_the_same(
    workspace: Workspace, second: OwnServer, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with redis.Redis.from_url(second.url) as client, client.pubsub() as ear:
        ear.psubscribe("*")
        assert ear.get_message(timeout=10)
        create(workspace)
        assert ear.get_message(timeout=10)
    assert ways.breaker().is_open
    assert not ways.cache_breaker().is_open
