"""A destination's mapping: a JMESPath expression over the event, at a bounded cost.

Expressions are their users', so nothing of one may hold a worker up: it is at most 4,096 characters
long, and each node it visits and each value it makes is paid for from a budget. (`[@,@]|[@,@]|…`
would double its result with every bar, in a few bytes each.) The budget is counted, not timed:
what was accepted when it was saved is not refused because a machine is busy.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
from jmespath import functions
from jmespath.exceptions import (
    ArityError,
    EmptyExpressionError,
    JMESPathError,
    JMESPathTypeError,
    ParseError,
)
from jmespath.parser import ParsedResult, Parser
from jmespath.visitor import TreeInterpreter

EXPRESSION_LENGTH: Final = 4_096
RESULT_BYTES: Final = 262_144
BUDGET: Final = 50_000
"""Nodes visited and values made: tens of milliseconds. Copying a large event costs 10,000."""
DEPTH: Final = 100
"""Of an expression's tree: an interpreter that recurses must not find its stack too short."""
CHARACTERS: Final = 64
"""So many characters of a text cost as much as one value."""
_MAKES_VALUES: Final = frozenset(
    {"multi_select_list", "multi_select_dict", "flatten", "function_expression", "literal"}
    | {"projection", "filter_projection", "value_projection", "slice"}
)


class MappingError(ValueError):
    """Nothing comes of an expression; says why in one sentence."""


class BadMapping(MappingError):
    """This is no expression; says why in one sentence."""


class MappingFailed(MappingError):
    """The expression gives nothing that could be sent; says why in one sentence."""


class _TooDear(Exception):
    """The budget is spent."""


class _Functions(functions.Functions):  # type: ignore[misc]
    """JMESPath's own, less the one that can make a huge text of small ones in one step."""

    @functions.signature({"types": ["string"]}, {"types": ["array-string"]})  # type: ignore[untyped-decorator]
    def _func_join(self, glue: str, parts: list[str]) -> str:
        if len(glue) * len(parts) + sum(map(len, parts)) > RESULT_BYTES:
            raise _TooDear
        return glue.join(parts)


class _Bounded(TreeInterpreter):  # type: ignore[misc]
    """Evaluates one expression once, within the budget."""

    def __init__(self) -> None:
        super().__init__()
        self._functions = _Functions()
        self._left = BUDGET

    def visit(self, node: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self._pay(1)
        value = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKES_VALUES:
            self._weigh(value)
        return value

    def _pay(self, price: int) -> None:
        self._left -= price
        if self._left < 0:
            raise _TooDear

    def _weigh(self, value: Any) -> None:
        """Pay for all that is in a value, as often as it is in there."""
        stack = [value]
        while stack:
            one = stack.pop()
            self._pay(1 + len(one) // CHARACTERS if isinstance(one, str) else 1)
            if isinstance(one, dict):
                stack.extend(one.values())
            elif isinstance(one, list):
                stack.extend(one)


@lru_cache(maxsize=512)
def compiled(expression: str) -> ParsedResult:
    """Parse an expression. Raises BadMapping."""
    if len(expression) > EXPRESSION_LENGTH:
        raise BadMapping(f"An expression has at most {EXPRESSION_LENGTH} characters.")
    try:
        parsed = Parser().parse(expression)
    except EmptyExpressionError as error:
        raise BadMapping("An expression is not empty.") from error
    except ParseError as error:
        at = min(error.lex_position, len(expression))
        raise BadMapping(f"This is no JMESPath expression: it breaks off at {at}.") from error
    except (ValueError, RecursionError) as error:
        raise BadMapping("This is no JMESPath expression.") from error
    _check_tree(parsed.parsed)
    return parsed


def evaluate(expression: str, document: Any) -> Any:
    """Return what an expression finds in a document. Raises BadMapping and MappingFailed."""
    parsed = compiled(expression).parsed
    try:
        return _Bounded().visit(parsed, document)
    except _TooDear:
        raise MappingFailed("The mapping costs too much to work out.") from None
    except ArityError as error:
        raise MappingFailed(f"{error.function_name}() got too few or too many values.") from error
    except JMESPathTypeError as error:
        wanted = " or ".join(error.expected_types)
        detail = f"{error.function_name}() got {error.actual_type} where it wants {wanted}."
        raise MappingFailed(detail) from error
    except (JMESPathError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise MappingFailed(f"The mapping can't be worked out: {type(error).__name__}.") from error


def mapped(expression: str, event: Mapping[str, Any]) -> bytes:
    """Return what an expression makes of an event, as JSON. Raises BadMapping, MappingFailed."""
    found = evaluate(expression, dict(event))
    if found is None:
        raise MappingFailed("The mapping gives null for this event.")
    if not _is_finite(found):
        raise MappingFailed("The mapping gives a number that JSON does not have.")
    try:
        body = orjson.dumps(found)
    except orjson.JSONEncodeError as error:
        raise MappingFailed("The mapping gives something that is not JSON.") from error
    if len(body) > RESULT_BYTES:
        raise MappingFailed(f"The mapping gives {len(body)} bytes; {RESULT_BYTES} are allowed.")
    return body


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _check_tree(tree: dict[str, Any]) -> None:
    """Refuse a function that does not exist now, not when the first event comes by."""
    nodes = [(tree, 1)]
    while nodes:
        node, depth = nodes.pop()
        name = node.get("value")
        if node["type"] == "function_expression" and name not in _Functions.FUNCTION_TABLE:
            raise BadMapping(f"There is no function {str(name)[:40]}().")
        if depth > DEPTH:
            raise BadMapping(f"An expression nests at most {DEPTH} deep.")
        inner = node.get("children", ())
        nodes.extend((child, depth + 1) for child in inner if isinstance(child, dict))
