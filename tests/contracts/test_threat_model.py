"""Every answer that the threat model gives is held up by a test that exists."""

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CITED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def names_in(path: str) -> set[str]:
    """Return the tests of a file."""
    tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions)}


def test_every_proof_that_is_cited_exists() -> None:
    cited = CITED.findall((CHECKOUT / "docs/threat-model.md").read_text(encoding="utf-8"))
    assert len(cited) > 30
    assert not [(path, name) for path, name in cited if name not in names_in(path)]


def test_every_threat_names_its_proof() -> None:
    text = (CHECKOUT / "docs/threat-model.md").read_text(encoding="utf-8")
    tables = text.partition("## Threats and answers")[2].partition("### The supply")[0]
    lines = [line for line in tables.splitlines() if line.startswith("| ") and "---" not in line]
    threats = [line for line in lines if not line.startswith("| threat |")]
    assert all(CITED.search(line) or "](" in line for line in threats)
