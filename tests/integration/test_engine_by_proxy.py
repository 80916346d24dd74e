"""The engine behind a proxy: its failures spend nothing, and its password is seen nowhere."""

import logging

import pytest
from django.conf import LazySettings
from django.db import connection

from tasks_app.actions.task import create_task
from tasks_app.models import Attempt, Delivery, Workspace
from tasks_app.security.way_out import read_proxy
from tests.support import forward_proxy as proxies
from tests.support.engine import deliver, make_due, to
from tests.support.factories import cause
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.in_loop import in_loop
from tests.support.name_server import name_server
from tests.support.receiver import closed_port
from tests.support.sink import sink

pytestmark = pytest.mark.django_db(transaction=True)

OUTSIDE = "93.184.215.14"
PASSWORD = "correct-horse-battery"


def use(settings: LazySettings, port: int) -> None:
    """Let the engine go out by a proxy on this port."""
    settings.OUTBOUND_PROXY = read_proxy(f"http://house:{PASSWORD}@127.0.0.1:{port}")


def change(workspace: Workspace) -> None:
    """Make a delivery."""
    create_task(workspace_id=workspace.pk, fields={"title": "one"}, cause=cause())


def everything() -> str:
    """Return all rows of all tables as one text."""
    with connection.cursor() as cursor:
        texts = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" t')
            texts.append(str(cursor.fetchone()[0]))
    return "\n".join(texts)


def test_what_is_sent_by_a_proxy_arrives_and_tells_of_its_password_nowhere(
    workspace: Workspace, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with sink() as out, in_loop(name_server([OUTSIDE])) as names:
        port = int(out.url.split(":")[2].split("/")[0])
        with in_loop(forward_proxy(port)) as proxy:
            use(settings, proxy.port)
            settings.OUTBOUND_DNS_SERVERS = [names.address]
            to(workspace, "http://hooks.example/a")
            change(workspace)
            deliver()
    assert proxy.asked == [("POST", f"http://{OUTSIDE}/a")]
    assert "proxy-authorization" in proxy.seen[0].headers
    assert [came.attempt for came in out.came] == [1]
    _check_unseen(proxy, caplog)


def test_a_proxy_that_refuses_us_or_is_away_spends_no_schedule(
    workspace: Workspace, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        in_loop(name_server([OUTSIDE])) as names,
        in_loop(forward_proxy(closed_port(), reply=proxies.says(407))) as proxy,
    ):
        settings.OUTBOUND_DNS_SERVERS = [names.address]
        to(workspace, "https://hooks.example/a", retry_schedule=[])
        change(workspace)
        for port in (proxy.port, closed_port(), proxy.port):
            use(settings, port)
            deliver()
            make_due()
    [delivery] = Delivery.objects.all()
    assert (delivery.state, delivery.failures) == ("pending", 0)
    tried = Attempt.objects.order_by("number")
    assert [(one.error, one.failed_phase) for one in tried] == [("proxy_failed", "connect")] * 3
    assert all("proxy" in one.detail for one in tried)
    _check_unseen(proxy, caplog)


def _check_unseen(proxy: ForwardProxy, caplog: pytest.LogCaptureFixture) -> None:
    sent = {one.headers["proxy-authorization"].removeprefix("Basic ") for one in proxy.seen}
    assert len(sent) == 1
    for word in (PASSWORD, *sent):
        assert word not in everything()
        assert word not in caplog.text
