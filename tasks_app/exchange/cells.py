"""Cells of a CSV file: safe to open in a spreadsheet, and read back as they were.

A spreadsheet runs a cell that begins like a formula (OWASP, CSV Injection), also after blanks, and
with full-width signs. Such a cell gets an apostrophe in front; so does one that looks like it had
got one, so that taking one away always gives back the text. All other texts stay as they are.
"""

import re
from typing import Final

from tasks_app.events.snapshot import TASK_FIELDS

COLUMNS: Final = tuple(TASK_FIELDS)
JSON_COLUMNS: Final = frozenset({"labels", "metadata"})

_FORMULA: Final = re.compile("'*(?:[\t\r\n]|\\s*[=+\\-@＝＋－＠])")
_DEFUSED: Final = re.compile("'+(?:[\t\r\n]|\\s*[=+\\-@＝＋－＠])")


def defuse(text: str) -> str:
    """Return the text as a cell that no spreadsheet runs."""
    return f"'{text}" if _FORMULA.match(text) else text


def restore(cell: str) -> str:
    """Return the text that was defused to this cell, or the cell itself."""
    return cell[1:] if _DEFUSED.match(cell) else cell
