"""Two bells, once a transaction, after the commit only, bounded in time, never raising."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from kombu import pools
from pytest_django.fixtures import Settings

from config.celery import app
from tasks_app.actions.task import create_task
from tasks_app.events import commit_hook, wire
from tasks_app.events.valkey import bell_client, breaker
from tasks_app.models import Workspace
from tests.support import factories
from tests.support.factories import cause

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_bells() -> Iterator[None]:
    """Give each test bells that remember nothing, and an empty queue."""

    def forget() -> None:
        bell_client.cache_clear()
        breaker.cache_clear()
        pools.reset()  # type: ignore[no-untyped-call]
        app._after_fork()

    forget()
    yield
    forget()


@pytest.fixture
def valkey(settings: Settings) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(wire.DRAIN_WAKE_KEY, wire.DRAIN_QUEUE)
    yield client
    client.delete(wire.DRAIN_WAKE_KEY, wire.DRAIN_QUEUE)
    client.close()


def rung(valkey: "redis.Redis") -> int:
    return int(valkey.llen(wire.DRAIN_QUEUE))


def create(workspace: Workspace) -> None:
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())


def test_a_commit_rings_the_drain(workspace: Workspace, valkey: "redis.Redis") -> None:
    create(workspace)
    assert rung(valkey) == 1


def test_commits_in_a_row_ring_once_until_the_drain_answers(
    workspace: Workspace, valkey: "redis.Redis"
) -> None:
    for _ in range(5):
        create(workspace)
    assert rung(valkey) == 1
    valkey.delete(wire.DRAIN_WAKE_KEY)  # what a drain does first
    create(workspace)
    assert rung(valkey) == 2


def test_nothing_rings_before_the_commit_nor_after_a_rollback(
    workspace: Workspace, valkey: "redis.Redis"
) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        create(workspace)
        assert rung(valkey) == 0
        raise ZeroDivisionError
    assert rung(valkey) == 0


def test_what_was_kept_of_a_transaction_rings_though_a_part_rolled_back(
    workspace: Workspace, valkey: "redis.Redis"
) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            create(workspace)
            raise ZeroDivisionError
        create(workspace)
    assert rung(valkey) == 1
    assert len(factories.log(workspace)) == 1


def test_the_channel_layer_hears_how_far_the_log_has_grown(
    workspace: Workspace, valkey: "redis.Redis"
) -> None:
    async def follow() -> dict[str, object]:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(wire.workspace_group(workspace.pk), channel)
        writer = threading.Thread(target=lambda: commit_hook.ring({workspace.pk: 7}, deliver=False))
        writer.start()
        message: dict[str, object] = await layer.receive(channel)
        writer.join()
        await layer.flush()
        return message

    heard = async_to_sync(follow)()
    assert heard == {"type": "log.grew", "workspace": str(workspace.pk), "seq": 7}


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@contextmanager
def no_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("server", [silent_server, no_server], ids=["silent", "down"])
def test_with_valkey_away_a_commit_is_answered_and_the_breaker_spares_the_next(
    workspace: Workspace, settings: Settings, server: type
) -> None:
    with server() as url:
        settings.REDIS_URL = url
        began = time.monotonic()
        create(workspace)
        first = time.monotonic() - began
    assert first < 5  # not for ever; how long exactly is `make bench`'s to say
    assert breaker().is_open
    assert len(factories.log(workspace)) == 1


def test_a_broker_that_fails_after_the_first_bell_is_swallowed_too(
    workspace: Workspace, valkey: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_server() as url:
        monkeypatch.setattr(app.conf, "broker_write_url", url)
        monkeypatch.setattr(app.conf, "broker_url", url)
        create(workspace)
    assert breaker().is_open
    assert rung(valkey) == 0
