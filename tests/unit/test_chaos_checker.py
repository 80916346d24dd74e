"""The judge of `make chaos` finds each kind of broken promise, and nothing where all were kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import RULES, judge
from tests.chaos.deck import DECK, draw
from tests.chaos.doubles import doubles
from tests.chaos.options import read_options
from tests.chaos.records import Arrived, Fault, Logged, Open, Records, Seen, Told

HERE, LATEST = "/post", "/latest"


def told(op: str, number: int, *, task: str = "t", version: int = 0, status: int = 200) -> Told:
    return Told(
        asked=number,
        answered=number + 0.1,
        op=op,
        request_id=f"r{number}",
        status=status,
        task=task,
        version=version,
    )


def logged(seq: int, kind: str, *, by: str = "", task: str = "t", version: int = 1) -> Logged:
    return Logged(seq=seq, id=f"e{seq}", type=kind, request_id=by, task=task, version=version)


def arrived(n: int, seq: int, *, task: str = "t", version: int = 1, **more: Any) -> Arrived:
    values: dict[str, Any] = {
        "at": float(n),
        "path": HERE,
        "message": f"m{seq}",
        "event": f"e{seq}",
        "status": 200,
        "signature": "valid",
    }
    return Arrived(n=n, seq=seq, task=task, version=version, **values | more)


def seen(follower: str, event: Logged) -> Seen:
    return Seen(follower=follower, kind="event", seq=event.seq, id=event.id, type=event.type)


def good() -> Records:
    """Return a run in which every promise was kept: create, update, outcome, delete, refusals."""
    log = [
        logged(1, "task_created", by="r1"),
        logged(2, "task_synced", by="r1"),
        logged(3, "task_updated", by="r2", version=2),
        logged(4, "task_deleted", by="r3", version=3),
    ]
    changes = [event for event in log if event.type != "task_synced"]
    return Records(
        told=[
            told("create", 1, version=1, status=201),
            told("update", 2, version=2),
            told("delete", 3, status=204),
            told("refused", 4, status=412),
            told("update", 5, status=0),  # no answer came, and nothing had been committed
        ],
        logged=log,
        arrived=[
            *(arrived(n, event.seq, version=event.version) for n, event in enumerate(changes, 1)),
            arrived(4, 4, path=LATEST, version=3),  # what came before it gave way
        ],
        seen=[*(seen("all", event) for event in log), *(seen("some", e) for e in changes)],
        faults=[Fault(kind="kill worker", target="worker-1", began=50, ended=50)],
        paths=[HERE],
        newest=[LATEST],
        slots=10,
        followers={"all": [], "some": ["task_created", "task_updated", "task_deleted"]},
        looked_at=100.0,
    )


def test_a_run_that_kept_every_promise_has_no_findings() -> None:
    assert judge(good()) == {name: [] for name in RULES}


def lose_the_event(records: Records) -> None:
    records.told.append(told("create", 9, task="u", version=1, status=201))


def log_another_version(records: Records) -> None:
    records.logged[2] = replace(records.logged[2], version=7)
    records.arrived[1] = replace(records.arrived[1], version=7)


def lose_a_delivery(records: Records) -> None:
    del records.arrived[1]


def lose_the_last_state(records: Records) -> None:
    records.arrived[3] = arrived(4, 3, path=LATEST, version=2)


def answer_only_with_failures(records: Records) -> None:
    records.arrived[1] = replace(records.arrived[1], status=500)


def log_what_nobody_sent(records: Records) -> None:
    records.logged[3] = replace(records.logged[3], request_id="other")
    del records.told[2]


def log_what_was_refused(records: Records) -> None:
    records.told[2] = replace(records.told[2], status=409)


def log_what_must_change_nothing(records: Records) -> None:
    records.told[2] = replace(records.told[2], op="refused", status=200)


def deliver_what_is_not_in_the_log(records: Records) -> None:
    records.arrived.append(arrived(9, 99))


def deliver_another_body(records: Records) -> None:
    records.arrived[1] = replace(records.arrived[1], version=9)


def log_twice(records: Records) -> None:
    again = replace(records.logged[3], seq=5, id="e5")
    records.logged.append(again)
    records.arrived.append(arrived(9, 5, version=3))
    records.seen += [seen("all", again), seen("some", again)]


def send_again(records: Records) -> None:
    records.arrived.append(replace(records.arrived[2], n=9, at=9.0))


def send_again_after_no_answer(records: Records) -> None:
    records.arrived[2] = replace(records.arrived[2], status=None)
    records.arrived.append(replace(records.arrived[2], n=9, at=9.0, status=200))


def send_under_another_id(records: Records) -> None:
    records.arrived.append(replace(records.arrived[2], n=9, message="other"))


def send_three_times_around_one_kill(records: Records) -> None:
    records.arrived += [replace(records.arrived[2], n=9, at=51.0) for _ in range(2)]
    records.arrived[2] = replace(records.arrived[2], at=49.5)


def blame_a_fault_that_kills_no_sender(records: Records) -> None:
    records.faults = [Fault(kind="kill beat", target="beat", began=5, ended=5)]
    send_again(records)


def blame_a_fault_long_after(records: Records) -> None:
    records.arrived.append(replace(records.arrived[2], n=9, at=60.0))


def double_more_than_was_in_flight(records: Records) -> None:
    records.slots = 2
    records.arrived = [replace(one, at=49.0) for one in records.arrived]
    records.arrived += [replace(one, n=one.n + 3, at=51.0) for one in records.arrived]
    records.arrived.sort(key=lambda one: (one.seq, one.n))
    records.arrived = [replace(one, n=n) for n, one in enumerate(records.arrived, 1)]


def overtake(records: Records) -> None:
    records.arrived[1] = replace(records.arrived[1], n=30)


def repeat_the_earlier_after_the_later(records: Records) -> None:
    records.faults[0] = replace(records.faults[0], began=1, ended=8)
    records.arrived.append(replace(records.arrived[0], n=9, at=9.0))


def leave_something_due(records: Records) -> None:
    records.open_after.append(still_open(state="pending", due=80.0))


def leave_a_lease_that_nobody_sends(records: Records) -> None:
    records.open_after.append(still_open(state="leased", due=80.0))


def leave_something_open(records: Records) -> None:
    records.open_at_end.append(still_open(state="leased", due=80.0))


def skip_a_seq(records: Records) -> None:
    records.logged = [replace(e, seq=e.seq + (e.seq > 1)) for e in records.logged]


def lack_the_first_seq(records: Records) -> None:
    del records.logged[0]


def hide_an_event(records: Records) -> None:
    del records.seen[1]


def show_an_event_twice(records: Records) -> None:
    records.seen.insert(1, records.seen[0])


def show_events_in_another_order(records: Records) -> None:
    records.seen[0], records.seen[1] = records.seen[1], records.seen[0]


def hide_the_last_event(records: Records) -> None:
    del records.seen[-1]


def show_what_was_not_wanted(records: Records) -> None:
    records.seen.insert(5, seen("some", records.logged[1]))


def reset_a_follower(records: Records) -> None:
    records.seen.append(Seen(follower="all", kind="reset", seq=4))


def spoil_a_signature(records: Records) -> None:
    records.arrived[0] = replace(records.arrived[0], signature="invalid")


def still_open(*, state: str, due: float, held: bool = False) -> Open:
    return Open(id="d", destination=HERE, state=state, due=due, attempts=0, held=held, message="m4")


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("lost", lose_the_event),
        ("lost", log_another_version),
        ("lost", lose_a_delivery),
        ("lost", lose_the_last_state),
        ("lost", answer_only_with_failures),
        ("phantom", log_what_nobody_sent),
        ("phantom", log_what_was_refused),
        ("phantom", log_what_must_change_nothing),
        ("phantom", deliver_what_is_not_in_the_log),
        ("phantom", deliver_another_body),
        ("doubled without a fault", log_twice),
        ("doubled without a fault", send_again),
        ("doubled without a fault", send_again_after_no_answer),
        ("doubled without a fault", send_under_another_id),
        ("doubled without a fault", send_three_times_around_one_kill),
        ("doubled without a fault", blame_a_fault_that_kills_no_sender),
        ("doubled without a fault", blame_a_fault_long_after),
        ("doubled without a fault", double_more_than_was_in_flight),
        ("out of order", overtake),
        ("out of order", repeat_the_earlier_after_the_later),
        ("stuck", leave_something_due),
        ("stuck", leave_a_lease_that_nobody_sends),
        ("stuck", leave_something_open),
        ("seq gaps", skip_a_seq),
        ("seq gaps", lack_the_first_seq),
        ("follower gaps or doubles", hide_an_event),
        ("follower gaps or doubles", show_an_event_twice),
        ("follower gaps or doubles", show_events_in_another_order),
        ("follower gaps or doubles", hide_the_last_event),
        ("follower gaps or doubles", show_what_was_not_wanted),
        ("follower gaps or doubles", reset_a_follower),
        ("bad signatures", spoil_a_signature),
    ],
)
def test_a_broken_promise_is_found(rule: str, spoil: Callable[[Records], None]) -> None:
    records = good()
    spoil(records)
    assert judge(records)[rule]


def test_a_double_around_a_kill_is_explained_once() -> None:
    records = good()
    records.arrived[2] = replace(records.arrived[2], at=49.5)
    records.arrived.append(replace(records.arrived[2], n=9, at=57.0))
    assert len(doubles(records)) == 1
    assert not any(judge(records).values())


def test_a_retry_after_a_failure_is_no_double() -> None:
    records = good()
    records.arrived.insert(2, replace(records.arrived[2], n=3, status=500))
    records.arrived[3] = replace(records.arrived[3], n=4)
    assert doubles(records) == []
    assert not any(judge(records).values())


def test_a_double_that_fails_is_retried_and_that_is_no_further_double() -> None:
    records = good()
    again = replace(records.arrived[2], n=9, at=57.0, status=500)
    records.arrived[2] = replace(records.arrived[2], at=49.5)
    records.arrived += [again, replace(again, n=10, at=99.0, status=200)]
    assert len(doubles(records)) == 1
    assert not any(judge(records).values())


@pytest.mark.parametrize(
    "open_",
    [
        still_open(state="pending", due=99.0),
        still_open(state="pending", due=160.0),
        still_open(state="pending", due=80.0, held=True),
        still_open(state="waiting", due=80.0),
    ],
)
def test_what_is_under_way_or_not_yet_due_is_not_stuck(open_: Open) -> None:
    records = good()
    records.open_after.append(open_)
    assert not any(judge(records).values())


@pytest.mark.parametrize(
    ("name", "value"), [("SEED", "-1"), ("MINUTES", "0"), ("MINUTES", "long"), ("RATE", "nan")]
)
def test_a_wrong_choice_is_a_sentence_that_names_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"^{name} must be a number"):
        read_options()


@pytest.mark.parametrize("state", ["pending", "leased"])
def test_what_waits_in_a_queue_that_moves_is_not_stuck(state: str) -> None:
    records = good()
    records.open_after.append(still_open(state=state, due=80.0))
    records.arrived[2] = replace(records.arrived[2], at=98.0)
    assert not any(judge(records).values())


def test_one_seed_is_one_storm_with_every_kind_of_fault() -> None:
    cards = draw(seed=7, seconds=300)
    assert cards == draw(seed=7, seconds=300)
    assert cards != draw(seed=8, seconds=300)
    assert {card.kind for card in cards} == {*DECK, "broker down", "sleep past lease"}
    assert all(card.at >= 0 and card.at + card.lasts < 300 for card in cards)
