"""The page about further connectors is true: its example runs in a real house, end to end."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasks_app.connectors.base import Connector
from tests.support.house import House, running_house
from tests.support.threads import until

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "adding-a-connector.md").read_text(encoding="utf-8")


def example(folder: Path) -> None:
    """Put the page's example where the page says."""
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "push_connector.py").write_text(code, encoding="utf-8")


@pytest.mark.timeout(180)
def test_the_example_of_the_page_delivers(tmp_path: Path) -> None:
    example(tmp_path)
    with running_house(CONNECTORS="push_connector", PYTHONPATH=str(tmp_path)) as house:
        with house.client() as client:
            fields = {"name": "phone", "kind": "push", "url": f"{house.sandbox}/post"}
            made = client.post("destinations/", json=fields)
            assert made.status_code == 201, made.text
            refused = client.post("destinations/", json={**fields, "mapping": "task"})
            assert refused.json()["errors"][0]["code"] == "not_for_this_kind"
            shown = client.post("destinations/preview/", json={"kind": "push"}).json()
            assert shown["content_type"] == "text/plain; charset=utf-8"
            client.post("tasks/", json={"title": "by push"})
            client.post(f"destinations/{made.json()['id']}/test/")
        until(lambda: len(pushed(house)) == 2, "both were pushed")
        assert set(pushed(house)) == {"task_created: by push", "ping: a test"}


def pushed(house: House) -> list[str]:
    """Return the plain texts that the sandbox got."""
    bodies = [str(entry["body"]) for entry in house.received()]
    return [body for body in bodies if body.startswith(("task_", "ping:"))]


def test_a_module_that_is_not_there_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env={**os.environ, "CONNECTORS": "no_such_connector"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    assert "CONNECTORS: no_such_connector: No module named" in started.stderr


def test_the_page_lists_what_a_class_says() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    said = set(Connector.__annotations__)
    assert listed == said
