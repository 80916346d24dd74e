"""How the sandbox answers: one function for each kind of outside world."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from config.sandbox.request import Answer, Refused, Request, json_answer

MAX_DELAY: Final = 60.0
MAX_HANG: Final = 600.0
SLOW_SECONDS: Final = 3.0
MAX_SEEDS: Final = 1_000

Behaviour = Callable[[Request, str], Awaitable[Answer]]

_dice_of_all = random.Random()  # noqa: S311 - dice
_seeded: dict[str, random.Random] = {}


async def post(request: Request, _argument: str) -> Answer:
    """Echo the request, as httpbin does."""
    return json_answer(
        {
            "args": request.args,
            "data": request.body.decode(errors="replace"),
            "headers": request.headers,
            "json": _json(request.body),
            "method": request.method,
            "origin": request.client,
            "url": request.url,
        }
    )


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


async def status(_request: Request, argument: str) -> Answer:
    """Answer with a status code; redirects lead to /post, for whoever follows them."""
    code = _number(argument, "a status code", low=200, high=599)
    if code != int(code):
        raise Refused(400, "a status code is a whole number")
    headers = {"location": "/post"} if 300 <= code < 400 and code != 304 else {}
    return json_answer({"status": int(code)}, status=int(code), headers=headers)


async def delay(request: Request, argument: str) -> Answer:
    """Echo after some seconds."""
    await asyncio.sleep(_number(argument, "a delay", low=0, high=MAX_DELAY))
    return await post(request, argument)


async def flaky(request: Request, argument: str) -> Answer:
    """Fail a percentage of the requests with 500; `?seed=` makes the order always the same."""
    percent = _number(argument, "a percentage", low=0, high=100)
    if _dice(request).random() * 100 < percent:
        return json_answer({"error": "flaky"}, status=500)
    return await post(request, argument)


def _dice(request: Request) -> random.Random:
    seed = request.args.get("seed")
    if seed is None:
        return _dice_of_all
    if len(_seeded) >= MAX_SEEDS:
        _seeded.clear()
    return _seeded.setdefault(f"{request.path} {seed}", random.Random(seed))  # noqa: S311 - dice


async def hang(request: Request, _argument: str) -> Answer:
    """Never answer; ends when the client has gone."""
    async with asyncio.timeout(MAX_HANG):
        while (await request.receive())["type"] != "http.disconnect":
            pass
    raise ConnectionAbortedError("the client gave up")


async def gone(_request: Request, _argument: str) -> Answer:
    """Answer 410."""
    return json_answer({"error": "gone"}, status=410)


async def slow(request: Request, _argument: str) -> Answer:
    """Answer after three seconds with the time of the request (`?ts=`) and of the answer."""
    asked = request.args.get("ts", "")
    request_time = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
    await asyncio.sleep(SLOW_SECONDS)
    return json_answer({"request_time": request_time, "response_time": int(time.time())})


async def retry_after(request: Request, argument: str) -> Answer:
    """Answer 503, or 429 with `?status=429`, and the wish to be tried again in some seconds."""
    seconds = _number(argument, "a number of seconds", low=0, high=1e9)
    code = 429 if request.args.get("status") == "429" else 503
    return json_answer(
        {"error": "later"}, status=code, headers={"retry-after": str(math.ceil(seconds))}
    )


def _number(text: str, what: str, *, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise Refused(400, f"{what} lies between {low:g} and {high:g}")
    return value


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "post": post,
    "status": status,
    "delay": delay,
    "flaky": flaky,
    "hang": hang,
    "gone": gone,
    "slow": slow,
    "retry-after": retry_after,
}
