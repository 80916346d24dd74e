"""The environment, read once, typed; a wrong value stops the start and names its variable.

A secret may also come from a file: ``NAME_FILE=/run/secrets/name`` is read where ``NAME``
is not set. Beside a running ``make up`` the file ``<DATA_DIR>/run/environment`` supplies
the addresses of the embedded servers, so that ``manage.py …`` works without exports.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
# A developer's machine needs no secrets of its own; those of `make up` come before these.
LOCAL = {
    "SECRET_KEY": "local-only-not-a-secret",
    "ENCRYPTION_KEYS": "local:bG9jYWwtb25seS1ub3QtYS1zZWNyZXQtMzItYnl0ZXM=",
}
SERVERS = {"DATABASE_URL", "REDIS_URL"}
BESIDE_UP = " Beside a running `make up` of this checkout (and DATA_DIR) it need not be."
CHECKOUT = Path(__file__).resolve().parent.parent
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


class Environment:
    """A typed view of environment variables."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        """Return the variable, or its ``_FILE``, or the default.

        Raises ImproperlyConfigured where none of them is there.
        """
        value = self._values.get(name) or self._from_file(name)
        if value is not None:
            return value
        if default is None:
            beside = BESIDE_UP if name in SERVERS else ""
            raise ImproperlyConfigured(f"{name} is not set and has no default.{beside}")
        return default

    def boolean(self, name: str, default: bool) -> bool:
        """Return a switch; raises ImproperlyConfigured unless it reads as true or false."""
        value = self.text(name, "true" if default else "false").lower()
        if value not in TRUE | FALSE:
            raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
        return value in TRUE

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number within [low, high]; raises ImproperlyConfigured otherwise."""
        value = self.text(name, str(default))
        if not re.fullmatch("-?[0-9]{1,18}", value):
            raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.")
        if not low <= int(value) <= high:
            raise ImproperlyConfigured(f"{name} must lie within {low} and {high}, not {value}.")
        return int(value)

    def items(self, name: str, default: str = "") -> list[str]:
        """Return a comma list without blanks."""
        return [item.strip() for item in self.text(name, default).split(",") if item.strip()]

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words; raises ImproperlyConfigured otherwise."""
        value = self.text(name, default)
        if value not in allowed:
            raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {value}.")
        return value

    def parsed(self, name: str, default: str | None, parse: Callable[[str], T]) -> T:
        """Return ``parse(text)``; its ValueError becomes a sentence naming the variable."""
        try:
            return parse(self.text(name, default))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}") from error

    def _from_file(self, name: str) -> str | None:
        path = self._values.get(f"{name}_FILE")
        if not path:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error}") from error


def data_dir() -> Path:
    """Return where embedded servers and generated secrets live."""
    return Path(os.environ.get("DATA_DIR") or CHECKOUT / ".data").absolute()


def beside_up() -> dict[str, str]:
    """Return what a running ``make up`` wrote for commands beside it, or nothing."""
    path = data_dir() / "run" / "environment"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _values() -> dict[str, str]:
    local = os.environ.get("DJANGO_SETTINGS_MODULE", "").endswith(".local")
    return {**(LOCAL | beside_up() if local else {}), **os.environ}


env = Environment(_values())
