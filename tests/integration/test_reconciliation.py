"""Reconciliation: a receiver finds exactly what it lost, and a replay brings exactly that."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tasks_app.actions.delivery import cancel_delivery
from tasks_app.actions.task import create_task
from tasks_app.delivery.replaying import replay_some
from tasks_app.models import Delivery, Role, Scope, Workspace
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.callers import Caller, caller
from tests.support.engine import deliver, to
from tests.support.factories import cause
from tests.support.sink import Sink, sink

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "receiving.md"


@pytest.fixture(scope="module")
def lost() -> Any:
    """Return the receiver's function as the document shows it."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Prove that you have all")[2]
    code = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert code
    shown: dict[str, Any] = {}
    exec(compile(code[1], str(DOCUMENT), "exec"), shown)
    return shown["lost"]


def kept(here: Sink) -> dict[int, str]:
    return {came.sequence: came.id for came in here.came}


def digest(mine: dict[int, str]) -> str:
    lines = "".join(f"{sequence} {mine[sequence]}\n" for sequence in sorted(mine))
    return hashlib.sha256(lines.encode()).hexdigest()


def make(workspace: Workspace, count: int) -> None:
    for number in range(count):
        create_task(workspace_id=workspace.pk, fields={"title": str(number)}, cause=cause())


def test_a_receiver_that_lost_one_in_a_hundred_finds_exactly_those_and_gets_them_again(
    api: Caller, workspace: Workspace, lost: Any
) -> None:
    with sink() as here:
        there = to(workspace, here.url, max_concurrency=50)
        backlog(there, 600, state="pending")
        deliver()
        mine = kept(here)
        assert sorted(mine) == list(range(1, 601))
        gone = {sequence: mine.pop(sequence) for sequence in (1, 77, 100, 101, 500, 600)}
        at = f"destinations/{there.pk}/"
        found = lost(lambda url: api.get(url).body, mine, at=at, window=100)
        rows = Delivery.objects.filter(pk__in=found)
        assert {row.sequence for row in rows} == gone.keys()
        begun = api.post(f"{at}replay/", {"deliveries": found})
        assert (begun.status, begun.body["total"]) == (202, 6)
        replay_some()
        here.came.clear()
        deliver()
    assert {came.id for came in here.came} == set(gone.values())
    mine |= kept(here)
    assert [row["sequence"] for row in everything(api, there.pk)] == list(range(1, 607))
    assert set(mine.values()) == set(api_ids(api, there.pk))
    assert lost(lambda url: api.get(url).body, mine | gone, at=at) == []


def everything(api: Caller, pk: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    url = f"destinations/{pk}/deliveries/?limit=500"
    while url:
        answer = api.get(url).body
        rows += answer["results"]
        url = answer["next"]
    return rows


def api_ids(api: Caller, pk: Any) -> list[str]:
    return [row["message_id"] for row in everything(api, pk)]


def test_what_never_goes_out_and_what_is_under_way_are_told_apart(
    api: Caller, workspace: Workspace
) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 6)
    rows = list(Delivery.objects.order_by("sequence"))
    cancel_delivery(workspace_id=workspace.pk, delivery_id=rows[2].pk, cause=cause())
    ended = {"ended_at": "2026-01-01T00:00:00Z"}
    Delivery.objects.filter(pk=rows[3].pk).update(state="dead", **ended)
    Delivery.objects.filter(pk__in=[rows[0].pk, rows[4].pk]).update(state="succeeded", **ended)
    (window,) = api.get(f"destinations/{there.pk}/deliveries/digest/").body["results"]
    assert window["never"] == [
        {"sequence": 3, "state": "cancelled"},
        {"sequence": 4, "state": "dead"},
    ]
    assert (window["under_way"], window["delivered"]) == ([2, 6], 2)
    mine = {row.sequence: f"msg_{row.message_id.hex}" for row in (rows[0], rows[4])}
    assert window["sha256"] == digest(mine)


def test_windows_are_cut_by_sequence_and_paged(api: Caller, workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 7)
    at = f"destinations/{there.pk}/deliveries/digest/"
    answer = api.get(f"{at}?after=1&window=2&limit=2").body
    assert [(w["after"], w["until"]) for w in answer["results"]] == [(1, 3), (3, 5)]
    assert answer["head"] == 7
    rest = api.get(answer["next"]).body
    assert [(w["after"], w["until"]) for w in rest["results"]] == [(5, 7)]
    assert rest["next"] is None
    part = api.get(f"{at}?after=2&until=4").body
    assert [(w["after"], w["until"]) for w in part["results"]] == [(2, 4)]
    assert part["results"][0]["under_way"] == [3, 4]
    assert part["next"] is None


def test_a_list_that_is_read_while_rows_come_has_no_gap_and_no_double(
    api: Caller, workspace: Workspace
) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 5)
    first = api.get(f"destinations/{there.pk}/deliveries/?limit=3").body
    make(workspace, 2)
    second = api.get(first["next"]).body
    seen = [row["sequence"] for row in first["results"] + second["results"]]
    assert seen == [1, 2, 3, 4, 5, 6]
    last = api.get(f"destinations/{there.pk}/deliveries/?after={seen[-1]}").body
    assert [row["sequence"] for row in last["results"]] == [7]
    row = last["results"][0]
    assert {"message_id", "state", "event", "created_at", "ended_at"} <= row.keys()


def test_a_reading_key_is_enough_and_a_stranger_sees_nothing(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    reader = caller(workspace, role=Role.VIEWER, scope=Scope.READ)
    stranger = caller(factories.workspace())
    for path in ("deliveries/", "deliveries/digest/"):
        assert reader.get(f"destinations/{there.pk}/{path}").status == 200
        assert stranger.get(f"destinations/{there.pk}/{path}").status == 404
    empty = reader.get(f"destinations/{there.pk}/deliveries/digest/").body
    assert empty == {"next": None, "head": 0, "kept_from": 1, "results": []}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("window=0", "?window"),
        ("window=10001", "?window"),
        ("window=x", "?window"),
        ("after=-1", "?after"),
        ("until=x", "?until"),
        ("limit=0", "?limit"),
        ("from=1", "?from"),
    ],
)
def test_a_digest_of_nonsense_is_refused(
    api: Caller, workspace: Workspace, query: str, pointer: str
) -> None:
    there = to(workspace, NOWHERE)
    answer = api.get(f"destinations/{there.pk}/deliveries/digest/?{query}")
    assert answer.status == 400
    assert [place for place, _ in answer.pointers] == [pointer]


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)
