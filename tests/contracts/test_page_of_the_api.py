"""The page of the API lists every code of a refusal that the code has, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from rest_framework import serializers

from tasks_app import exceptions
from tasks_app.api.errors import CODES
from tests.contracts.test_documents import document, rows, section

ROOT = Path(__file__).resolve().parents[2]
#: Which argument of a call is the code of an error.
CALLS = {
    "FieldError": 1,
    "ErrorDetail": 1,
    "ValidationError": 1,
    "refused": 1,
    "_refuse": 1,
    "_refused": 1,
    "fail": 0,
    "_Wrong": 0,
}


def refusals(root: type[exceptions.Refusal]) -> Iterator[type[exceptions.Refusal]]:
    yield root
    for below in root.__subclasses__():
        yield from refusals(below)


def test_the_table_of_problems_is_the_one_in_the_code() -> None:
    listed = {
        (row[0], int(row[1]))
        for row in rows(section(document("api.md"), "Errors"))
        if len(row) == 3
    }
    of_domain = {(one.code, one.status) for one in refusals(exceptions.Refusal)}
    known = of_domain - {("refused", 400)} | {(code, status) for status, code in CODES.items()}
    assert listed == known


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"(\w+) +(\d{3})  (\w+)", exceptions.__doc__ or ""))
    there = [one for one in refusals(exceptions.Refusal) if one.__module__ == exceptions.__name__]
    known = {(one.__name__, str(one.status), one.code) for one in there}
    assert drawn == known - {("Refusal", "400", "refused")}


def written() -> Iterator[str]:
    """Yield every text that our code gives as the code of an error, and the serializers' own."""
    for path in (ROOT / "tasks_app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                place = CALLS.get(name, 99)
                given = node.args[place] if len(node.args) > place else None
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    yield given.value
    yield from serializers.CharField().error_messages


def test_the_codes_of_fields_that_are_named_exist() -> None:
    cells = [row[0] for row in rows(section(document("api.md"), "Errors")) if len(row) == 2]
    named = {code for cell in cells for code in re.findall(r"\w+", cell)}
    assert len(named) > 20
    assert named <= set(written())
