"""Every route that the resolver knows, so that none can be forgotten by a list of our own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

API = "api/v1/"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address. ``path`` has ``{name}`` where the resolver has a converter."""

    method: str
    path: str
    action: str
    view: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        """Return the names of the parts that vary."""
        return re.findall(r"{(\w+)}", self.path)


def leaves() -> Iterator[tuple[str, Any]]:
    """Yield every pattern of the whole site with its view."""
    yield from _below("", get_resolver())


def api_routes() -> list[Route]:
    """Return every method of every address below /api/v1/, without that beginning."""
    return [
        Route(method.upper(), path.removeprefix(API), action, view.cls)
        for path, view in leaves()
        if path.startswith(API)
        for method, action in view.actions.items()
        if method != "head"
    ]


def other_paths() -> set[str]:
    """Return every address beside the API."""
    return {path for path, _ in leaves() if not path.startswith(API)}


def _below(prefix: str, resolver: URLResolver) -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from _below(prefix + text, entry)
        elif isinstance(entry, URLPattern):
            yield prefix + text, entry.callback
