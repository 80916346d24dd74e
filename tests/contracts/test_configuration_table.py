"""The README's table names every setting that the code reads, and no other."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
READ = re.compile(r"\benv\.(?:text|boolean|integer|choice|items|parsed)\(\s*\"([A-Z_]+)\"")
PROXY = re.compile(r"\{\$([A-Z_]+)")
OTHERS = {"DJANGO_SETTINGS_MODULE", "DATA_DIR"}


def read_by_the_code() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "config").rglob("*.py")]
    caddyfile = (CHECKOUT / "Caddyfile").read_text(encoding="utf-8")
    return {name for text in texts for name in READ.findall(text)} | set(PROXY.findall(caddyfile))


def named_by_the_readme() -> set[str]:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Configuration")[2].partition("\n## ")[0]
    firsts = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for first in firsts for name in re.findall(r"`([A-Z_]+)`", first)}


def test_every_setting_is_in_the_table_and_the_table_names_no_other() -> None:
    assert named_by_the_readme() == read_by_the_code() | OTHERS
