"""Cells are safe in a spreadsheet and come back; files are cut into rows, whatever they hold."""

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from tasks_app.exchange.cells import defuse, restore
from tasks_app.exchange.records import MAX_RECORD, Record, csv_records, ndjson_records

FORMULAS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\rx", "\nx", "  =cmd|' /C calc'!A0"),
    *("＝1+1", "＋1", "－1", "＠x", "\u00a0=1", "'=1", "''+1"),
)


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(text: str) -> None:
    assert defuse(text) == f"'{text}"
    assert restore(defuse(text)) == text


@pytest.mark.parametrize("text", ["", "'", "it's", "'quoted'", "a=b", "1-2", "[]", "don't = do"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert defuse(text) == text
    assert restore(text) == text


def test_whatever_is_defused_comes_back() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        text = "".join(chance.choices("'= +-@＝\t\r\na\u00a0", k=chance.randrange(6)))
        assert restore(defuse(text)) == text


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def csv_of(data: bytes, *, size: int = 7, delimiter: str = ",") -> list[Record]:
    return list(csv_records(cut(data, size), delimiter=delimiter))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_rows_are_the_same_however_the_file_was_cut(size: int) -> None:
    data = '"ä ""x""",2\r\n"two\r\nlines",\n\n,,\nlast,row'.encode()
    found = csv_of(data, size=size)
    cells = [['ä "x"', "2"], ["two\r\nlines", ""], [], [], ["last", "row"]]
    assert [record.content for record in found] == cells
    assert [record.lines for record in found] == [1, 2, 1, 1, 1]
    assert sum(record.size for record in found) == len(data)


def test_reading_goes_on_after_any_record() -> None:
    data = b'a,"1\n2"\nb,3\n"c",4\n'
    whole, at = csv_of(data), 0
    for number, record in enumerate(whole):
        rest = csv_of(data[at:])
        assert [one.content for one in rest] == [one.content for one in whole[number:]]
        at += record.size


def test_a_row_that_is_no_csv_costs_no_other_row() -> None:
    found = csv_of(b'a,b\n"x"y,z\nc,d\ne\rf,g\nh,i\n')
    assert [r.content for r in found if not r.wrong] == [["a", "b"], ["c", "d"], ["h", "i"]]
    assert [r.wrong[0] for r in found if r.wrong] == ["malformed_row"] * 2


@pytest.mark.parametrize(
    "data",
    [b'a,"b\n' + b"c,d\n" * 400_000, b'a","\n' * 400_000, b'"a\nb"c,d\n'],
    ids=["one", "each", "badly"],
)
def test_a_quote_over_lines_that_is_not_closed_is_the_last_record(data: bytes) -> None:
    """Its lines are not read once more, as rows of their own: 400,000 of them took a day."""
    *read, last = csv_of(b"a,b\n" + data, size=65_536)
    assert [record.content for record in read] == [["a", "b"]]
    assert last.lost
    assert last.wrong is not None
    assert last.wrong[0] == "unclosed_quote"
    assert last.size <= MAX_RECORD + 8


def test_a_quote_that_is_open_at_the_end_of_the_file_costs_its_line() -> None:
    first, last = csv_of(b'a,b\n1,"open')
    assert first.content == ["a", "b"]
    assert (last.wrong is not None, last.lost) == (True, False)


def test_a_cell_of_many_lines_is_one_cell() -> None:
    text = "line\n" * 200_000
    first, last = csv_of(b'"' + text.encode() + b'",x\nc,d\n', size=65_536)
    assert first.content == [text, "x"]
    assert last.content == ["c", "d"]


def test_lines_of_ten_megabytes_are_passed_over_in_bounded_memory() -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"title": "first"}\n'
        for _ in range(160):
            yield b"x" * 65_536
        yield b'\n{"title": "last"}'

    tracemalloc.start()
    try:
        found = list(ndjson_records(pieces()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [record.content for record in found][::2] == [
        b'{"title": "first"}',
        b'{"title": "last"}',
    ]
    assert found[1].wrong is not None
    assert found[1].wrong[0] == "row_too_large"
    assert found[1].size == 160 * 65_536 + 1
    assert peak < 4 * MAX_RECORD
