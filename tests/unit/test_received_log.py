"""The sandbox's memory is bounded, and what is listed has no gap."""

from hypothesis import given
from hypothesis import strategies as st

from config.sandbox.received import MAX_BODY, ReceivedLog


def _add(log: ReceivedLog, body: bytes = b"") -> None:
    log.add(
        at=0.0,
        method="POST",
        path="/",
        webhook_id="",
        attempt="",
        sequence="",
        signature="",
        body=body,
    )


@given(st.integers(1, 50), st.lists(st.integers(0, 60), max_size=20), st.integers(0, 200))
def test_the_newest_are_kept_and_listed_in_order(bound: int, rounds: list[int], after: int) -> None:
    log = ReceivedLog(max_entries=bound)
    for count in rounds:
        for _ in range(count):
            _add(log)
    total = sum(rounds)
    kept = list(range(max(total - bound, 0) + 1, total + 1))
    assert len(log) == len(kept)
    assert (log.first, log.last) == (kept[0] if kept else total + 1, total)
    assert [e.n for e in log.after(after, limit=1_000)] == [n for n in kept if n > after]
    assert [e.n for e in log.after(after, limit=3)] == [n for n in kept if n > after][:3]


def test_bodies_are_capped_one_by_one_and_all_together() -> None:
    log = ReceivedLog(max_bytes=3 * MAX_BODY)
    for _ in range(10):
        _add(log, b"x" * (MAX_BODY + 1))
    assert len(log) == 3
    assert all(len(entry.body) == MAX_BODY for entry in log.after(0, limit=10))


def test_numbers_go_on_after_clearing_so_that_a_reader_misses_nothing() -> None:
    log = ReceivedLog()
    _add(log)
    log.clear()
    assert (len(log), log.first, log.last) == (0, 2, 1)
    _add(log)
    assert [entry.n for entry in log.after(1, limit=10)] == [2]
