"""The log: whole lines, each with its prefix, coloured only for a person at a terminal."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.supervisor.log import LONGEST_LINE, LineCutter, Log, wants_colour


def test_every_line_has_the_prefix_of_its_process() -> None:
    stream = io.StringIO()
    log = Log(stream, colour=False, width=5)
    log.say("api", "one\ntwo")
    log.say("beat", "three")
    log.close()
    assert stream.getvalue() == "api   | one\napi   | two\nbeat  | three\n"


def test_each_process_keeps_one_colour_of_its_own() -> None:
    stream = io.StringIO()
    log = Log(stream, colour=True)
    for name in ("api", "beat", "api"):
        log.say(name, "x")
    log.close()
    first, second, third = (line.partition("api")[0][:5] for line in stream.getvalue().splitlines())
    assert first == third != second
    assert first.startswith("\x1b[")


def test_no_colour_into_a_file_or_where_no_color_is_set(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        assert not wants_colour(file, {})
    primary, secondary = os.openpty()
    with os.fdopen(secondary, "w") as terminal:
        assert wants_colour(terminal, {})
        assert not wants_colour(terminal, {"NO_COLOR": "1"})
    os.close(primary)


def test_a_reader_that_went_away_stops_nobody() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", buffering=1)
    log = Log(stream, colour=False)
    for number in range(100):
        log.say("api", f"line {number}")
    log.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


@given(st.lists(st.binary(max_size=40)), st.integers(1, 7))
def test_lines_are_the_same_however_the_bytes_arrive(lines: list[bytes], size: int) -> None:
    data = b"\n".join(line.replace(b"\n", b"") for line in lines)
    taken: list[str] = []
    cutter = LineCutter(taken.append)
    for start in range(0, len(data), size):
        cutter.feed(data[start : start + size])
    cutter.end()
    whole = data.split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert taken == [line.decode(errors="replace").rstrip("\r") for line in expected]


def test_a_line_without_end_is_cut_and_not_collected_for_ever() -> None:
    taken: list[str] = []
    cutter = LineCutter(taken.append)
    for _ in range(10):
        cutter.feed(b"x" * LONGEST_LINE)
    assert len(taken) >= 9
    assert max(map(len, taken)) <= LONGEST_LINE
