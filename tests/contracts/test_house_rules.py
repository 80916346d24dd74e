"""The rules of the house that no linter knows, each with the sentence that says why."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.schedule import schedule

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "tasks_app", "realtime")


def sources() -> Iterator[tuple[str, str]]:
    """Yield every module of ours with its text, tests apart."""
    for package in PACKAGES:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            yield str(path.relative_to(CHECKOUT)), path.read_text(encoding="utf-8")


def calls(text: str) -> Iterator[ast.Call]:
    """Yield every call in a module."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    """Return the last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_there_is_one_on_commit() -> None:
    """A hook nobody else hangs is a hook that is bounded, coalesced and never raises."""
    users = {
        path for path, text in sources() for call in calls(text) if name_of(call) == "on_commit"
    }
    assert users == {"tasks_app/events/commit_hook.py"}


def test_no_message_carries_a_time_or_a_retry() -> None:
    """A retry is `next_attempt_at` in a row; an ETA in the broker is lost or doubled.

    An expiry compares two machines' clocks: a worker whose own is ahead would hear no bell.
    """
    forbidden = {"eta", "countdown", "retry_backoff", "autoretry_for", "soft_time_limit", "expires"}
    assert not any(forbidden & entry["options"].keys() for entry in schedule.values())
    for path, text in sources():
        for call in calls(text):
            assert not forbidden & {keyword.arg for keyword in call.keywords}, path
            assert name_of(call) not in {"delay_on_commit", "apply_async"}, path


def test_no_signal_controls_the_flow() -> None:
    """Who reads a verb sees all that it does. Celery's own life-cycle signals are its only API."""
    django_signals = re.compile(r"\b((pre|post)_(save|delete)|m2m_changed|request_started)\b")
    for path, text in sources():
        assert not django_signals.search(text), path


def test_nothing_is_imported_inside_a_function() -> None:
    """A cycle hidden in a function is still a cycle."""
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
                assert not inside, f"{path}: {node.name}"


def test_rooms_are_small() -> None:
    """A file is one room; what grows past 250 lines is two."""
    for path, text in sources():
        if "/migrations/" not in path:
            assert text.count("\n") <= 250, path


def test_every_module_opens_with_its_promise() -> None:
    for path, text in sources():
        if text.strip() and "/migrations/" not in path:
            assert ast.get_docstring(ast.parse(text)), path


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc", "services"])
def test_there_is_no_drawer_for_everything(name: str) -> None:
    for path, _ in sources():
        assert name not in Path(path).parts
        assert Path(path).stem != name, path


def test_lock_files_name_no_index_and_pin_by_hash() -> None:
    for path in (CHECKOUT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        pins = re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)
        assert len(pins) <= text.count("--hash=sha256:")
        assert pins, path


def test_no_secret_and_no_machine_s_path_is_tracked() -> None:
    """What a clone shows to everybody."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True
    ).stdout.decode()
    private = re.compile(r"(?<![\w.])/(?:root|home/\w+|work)/|BEGIN [A-Z ]*PRIVATE KEY")
    for name in filter(None, listed.split("\0")):
        path = CHECKOUT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".in", ".sql", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found = private.search(text)
            assert found is None or name == "tests/contracts/test_house_rules.py", (name, found)
