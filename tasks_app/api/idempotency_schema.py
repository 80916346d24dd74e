"""What OpenAPI says of `Idempotency-Key`, on every operation that writes."""

from typing import Any, Final

WRITES: Final = frozenset({"post", "put", "patch", "delete"})
KEY: Final[dict[str, Any]] = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A repeat with the same key within 24 h gets the first answer again.",
}
REPLAYED: Final[dict[str, Any]] = {
    "schema": {"type": "string", "enum": ["true"]},
    "description": "Only on an answer that was given before.",
}
CONFLICT: Final = "A request with this Idempotency-Key is running, or its answer was a secret."
REUSED: Final = "This Idempotency-Key stands for another request."


def tell_idempotency(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the header and its refusals to every operation that writes."""
    for path in result["paths"].values():
        for method, operation in path.items():
            if method in WRITES:
                _tell(operation)
    return result


def _tell(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(KEY)
    responses = operation["responses"]
    for status, response in responses.items():
        if status.startswith("2"):
            response.setdefault("headers", {})["Idempotent-Replayed"] = REPLAYED
    responses.setdefault("409", {"description": CONFLICT})
    responses.setdefault("422", {"description": REUSED})
