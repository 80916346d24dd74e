"""/metrics: shut by default, the sum of all processes, bounded in its cost and its labels."""

import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from tasks_app.actions.task import create_task
from tasks_app.models import MetricReport, Workspace
from tasks_app.observability.metric_report import Report, fold_the_dead
from tasks_app.observability.metrics import REGISTRY
from tasks_app.queries import gauges as reads
from tasks_app.queries.metric_totals import totals
from tests.support import factories
from tests.support.engine import deliver, to
from tests.support.factories import cause
from tests.support.sink import sink, status

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "known-to-prometheus"


@pytest.fixture
def workspace() -> Workspace:
    return factories.workspace()


def scrape(**headers: str) -> dict[str, float]:
    """Return every sample by its name and labels."""
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"} | headers)
    assert answer.status_code == 200, answer
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@pytest.fixture
def _open(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def test_it_is_not_there_unless_somebody_is_named(settings: Settings) -> None:
    assert Client().get("/metrics").status_code == 404


@pytest.mark.usefixtures("_open")
def test_only_the_token_opens_it() -> None:
    assert Client().get("/metrics").status_code == 401
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", "Bearer ", "Bearer é"):
        assert Client().get("/metrics", headers={"Authorization": wrong}).status_code == 401
    assert scrape()


@pytest.mark.parametrize(
    ("peer", "forwarded", "code"),
    [
        ("10.1.2.3", "", 200),
        ("192.0.2.1", "", 401),
        ("10.1.2.3", "192.0.2.1", 401),  # from outside, through the proxy
        ("10.1.2.3", "10.9.9.9, 192.0.2.1", 401),  # who claims to be inside
        ("10.1.2.3", "10.9.9.9", 200),
        ("", "10.9.9.9", 401),
    ],
)
def test_a_network_opens_it_for_whoever_really_asks_from_there(
    settings: Settings, peer: str, forwarded: str, code: int
) -> None:
    settings.METRICS_ALLOWED_NETWORKS = ["10.0.0.0/8"]
    extra: Any = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert Client().get("/metrics", REMOTE_ADDR=peer, **extra).status_code == code


@pytest.mark.usefixtures("_open")
def test_what_happened_is_counted_and_what_waits_is_read(workspace: Workspace) -> None:
    before = scrape()

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    with sink() as out, sink(status(500)) as broken:
        to(workspace, out.url, name="up")
        failing = to(workspace, broken.url, name="down")
        for number in range(3):
            fields = {"title": str(number)}
            create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
        deliver()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery SET next_attempt_at = now() - interval '100 s' WHERE state = 'pending'"
        )
    Client().get(f"/api/v1/tasks/{uuid.uuid4()}/")
    after = scrape()
    assert grown("aftercommit_events_recorded_total{type=task_created}") == 3
    assert grown("aftercommit_attempts_total{kind=webhook,state=succeeded}") == 3
    assert grown("aftercommit_attempts_total{kind=webhook,state=pending}") == 3
    assert grown("aftercommit_attempt_seconds_count{kind=webhook}") == 6
    assert after["aftercommit_deliveries_open{state=pending}"] == 3
    assert after["aftercommit_deliveries_open{state=leased}"] == 0
    assert after["aftercommit_oldest_due_seconds{destinations=ready}"] >= 100
    worst = f"destination={failing.pk},destinations=ready,workspace={workspace.slug}"
    assert after[f"aftercommit_destination_oldest_due_seconds{{{worst}}}"] >= 100
    routes = [name for name in after if name.startswith("aftercommit_requests_total")]
    assert any("route=api/v1/tasks/<uuid:" in name for name in routes)


@pytest.mark.usefixtures("_open")
def test_a_rolled_back_event_is_not_counted(workspace: Workspace) -> None:
    before = scrape()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
        _ = 1 / 0
    name = "aftercommit_events_recorded_total{type=task_created}"
    assert scrape().get(name) == before.get(name)


@pytest.mark.usefixtures("_open")
def test_labels_are_never_what_a_user_typed() -> None:
    Client().get("/made-up-7f3a")
    Client().generic("BREW", "/made-up-7f3a")
    names = "\n".join(scrape())
    assert "7f3a" not in names
    assert "BREW" not in names
    assert "method=other,route=none" in names


def process(count: float) -> tuple[Report, Any]:
    """Return another process that has counted so far."""
    registry = CollectorRegistry()
    counter = Counter("aftercommit_bells_failed", "-", registry=registry)
    counter.inc(count)
    return Report("worker", registry), counter


def bells() -> float:
    (family,) = [one for one in totals() if one.name == "aftercommit_bells_failed"]
    return float(family.samples[0].value)


def die(names: list[str]) -> None:
    """Let these processes have been silent for two hours; the test's own may report as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE metric_report SET seen_at = now() - interval '2 hours' WHERE process = ANY(%s)",
            [names],
        )


def test_totals_are_those_of_all_processes_and_never_shrink() -> None:
    (one, counted), (two, _) = process(3), process(4)
    names = [one._process, two._process]
    one.write()
    two.write()
    assert bells() == 7
    die(names)
    assert fold_the_dead() == 2
    assert bells() == 7
    counted.inc(5)  # it was only asleep
    one.write()
    assert bells() == 12
    one.write()
    assert bells() == 12
    die(names)
    fold_the_dead()
    assert bells() == 12
    assert not MetricReport.objects.filter(process__in=names).exists()


def test_followers_of_a_stream_that_is_gone_are_not_counted() -> None:
    key = '["aftercommit_stream_followers",[]]'
    MetricReport.objects.create(
        process="s", role="stream", samples={key: 5}, seen_at="2026-01-01T00:00Z"
    )
    (family,) = [one for one in totals() if one.name == "aftercommit_stream_followers"]
    assert family.samples[0].value == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE metric_report SET seen_at = now()")
    (family,) = [one for one in totals() if one.name == "aftercommit_stream_followers"]
    assert family.samples[0].value == 5


def test_a_backlog_costs_no_more_than_its_bound(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MOST", 2)
    monkeypatch.setattr(reads, "WORST", 1)
    for name in ("one", "two"):
        to(workspace, f"http://127.0.0.1:9/{name}", name=name)
    for number in range(3):
        create_task(workspace_id=workspace.pk, fields={"title": str(number)}, cause=cause())
    found = {family.name: family.samples for family in reads.gauges()}
    pending = [s for s in found["aftercommit_deliveries_open"] if s.labels["state"] == "pending"]
    assert pending[0].value == 2
    assert len(found["aftercommit_destination_oldest_due_seconds"]) == 1


def test_every_metric_says_what_it_is() -> None:
    assert all(family.documentation for family in REGISTRY.collect())
