"""docker-compose.yml, read as Docker Compose reads it: YAML merged, then variables put in."""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
# Compose specification, "Interpolation": $$, $NAME, ${NAME}, and with :- - :? ? :+ +.
VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<rest>[^{}]*))?\})"
)


class Refused(Exception):
    """A variable that must be set is not; says which and why."""


def read_env_file(path: Path) -> dict[str, str]:
    """Return what an .env file sets: NAME=value lines, the rest is comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Put variables into a text. Raises Refused where a required one is missing."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, how, rest = match["bare"] or match["name"], match["how"] or "", match["rest"] or ""
        found = variables.get(name)
        missing = found is None or (how.startswith(":") and not found)
        if how.endswith("?") and missing:
            raise Refused(f"{name}: {rest}")
        if how.endswith("-") and missing:
            return rest
        if how.endswith("+"):
            return "" if missing else rest
        return found or ""

    return VARIABLE.sub(value, text)


def read_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the compose file with its variables put in."""
    raw = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = _put_in(raw, variables)
    return found


def start_order(services: Mapping[str, Any]) -> list[str]:
    """Return the services in the order in which their conditions let them start."""
    return [
        *TopologicalSorter({n: s.get("depends_on", {}) for n, s in services.items()}).static_order()
    ]


def seconds(text: str) -> float:
    """Return the seconds of a duration such as ``1m30s``."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    return sum(float(number) * units[unit] for number, unit in parts)


def _put_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolated(value, variables)
    if isinstance(value, list):
        return [_put_in(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _put_in(item, variables) for key, item in value.items()}
    return value
