"""The kill matrix of the documents and its tests are the same: no row without one, none beside."""

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TESTS = "tests/acceptance/test_kill_matrix_*.py"


def rows() -> list[list[str]]:
    """Return the rows of the matrix, cell by cell."""
    text = (CHECKOUT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    section = text.partition("## The kill matrix")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def proofs() -> set[str]:
    """Return the node ids of its tests, without parameters."""
    return {
        f"{path.relative_to(CHECKOUT)}::{node.name}"
        for path in CHECKOUT.glob(TESTS)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_row_has_its_test_and_every_test_its_row() -> None:
    named = [row[-1].strip("`") for row in rows()]
    assert sorted(named) == sorted(proofs())


def test_no_row_loses_anything_and_what_it_doubles_is_what_its_test_expects() -> None:
    expected = {"doubles_one": "1", "doubles_nothing": "0"}
    for row in rows():
        lost, doubled, test = row[2], row[3], row[-1]
        assert lost.startswith("0"), row
        assert re.match("[01]", doubled), row
        for end, count in expected.items():
            if test.strip("`").endswith(end):
                assert doubled == count, row


def test_every_point_that_could_matter_is_in_it() -> None:
    when = " ".join(row[1] for row in rows())
    for point in (
        *("before its commit", "before the bell", "after it claimed", "while it connects"),
        *("after the bytes were sent", "after the answer", "inside settle"),
        *("during a replay", "during a rotation"),
    ):
        assert point in when
