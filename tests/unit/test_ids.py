"""Ids are UUIDv7: valid, unique, and in the order of their milliseconds."""

import time
import uuid

from tasks_app.models.ids import uuid7


def test_an_id_is_a_version_7_uuid_of_this_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after


def test_ids_are_unique_and_sort_by_time() -> None:
    first = [uuid7() for _ in range(2000)]
    assert len(set(first)) == 2000
    stamps = [made.int >> 80 for made in first]
    assert stamps == sorted(stamps)
