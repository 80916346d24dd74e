"""Receivers that mean harm, each a real server on loopback; those of receiver.py only misbehave."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache

from tests.support.bombs import BOMBS
from tests.support.receiver import Exchange, Script

Send = Callable[[Exchange], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

_bomb = cache(lambda coding: BOMBS[coding]())


def bomb(coding: str) -> Script:
    """Send 64 MiB as a few bytes, although nobody asked for this coding."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(body=_bomb(coding), Content_Encoding=coding)

    return _named(f"{coding}_bomb", script)


def saying(name: str, data: bytes) -> Script:
    """Send these bytes and close."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(data)
        exchange.writer.close()

    return _named(name, script)


def endless(name: str, first: bytes, then: bytes) -> Script:
    """Send the first bytes, and then the others for ever, as fast as the peer reads."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(first)
        while True:
            await exchange.say(then)

    return _named(name, script)


def _named(name: str, script: Send) -> Script:
    script.__name__ = name
    return script


flood_of_interim = endless("flood_of_interim", b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000)
flood_of_hints = endless(
    "flood_of_hints", b"", b"HTTP/1.1 103 Hints\r\n" + b"X: %s\r\n" % (b"y" * 4_000) * 8 + b"\r\n"
)
endless_header_line = endless("endless_header_line", OK + b"X: ", b"y" * 65_536)
endless_headers = endless("endless_headers", OK, b"X: y\r\n" * 5_000)
endless_extension = endless("endless_extension", CHUNKED + b"5;", b"y" * 65_536)
endless_trailer = endless("endless_trailer", CHUNKED + b"0\r\nX: ", b"y" * 65_536)
endless_tiny_chunks = endless("endless_tiny_chunks", CHUNKED, b"1\r\ny\r\n" * 10_000)
huge_chunk = endless("huge_chunk", CHUNKED + b"fffffffffffffff0\r\n", b"y" * 65_536)
no_chunk_end = saying("no_chunk_end", CHUNKED + b"5\r\nhello\r\n")
bad_chunk_size = saying("bad_chunk_size", CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n")
negative_length = saying("negative_length", OK + b"Content-Length: -5\r\n\r\nhello")
endless_length = saying("endless_length", OK + b"Content-Length: " + b"9" * 400 + b"\r\n\r\nhello")
length_and_chunks = saying(
    "length_and_chunks", OK + b"Content-Length: 2\r\n" + CHUNKED[17:] + b"2\r\nok\r\n0\r\n\r\n"
)
http_0_9 = saying("http_0_9", b"<html>hello</html>")
http_2 = saying("http_2", b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64\0\4\0\x10\0\0\0\6\0\0\x40\0")
nothing = saying("nothing", b"")
nul_in_header = saying("nul_in_header", OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok")
broken_text = saying(
    "broken_text",
    b"HTTP/1.1 503 \xff\xfe\r\nX-A: \xff\xfe\r\nRetry-After: \xff1\r\n"
    b"Content-Length: 5\r\n\r\na\0b\xff\xfe",
)
status_999 = saying("status_999", b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n")
status_0 = saying("status_0", b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n")
status_99999 = saying("status_99999", b"HTTP/1.1 99999 X\r\nContent-Length: 0\r\n\r\n")
redirect_inside = saying(
    "redirect_inside",
    b"HTTP/1.1 307 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
)


async def answers_twice(exchange: Exchange) -> None:
    """Answer well, and some time later once more, before anybody asks again."""
    await exchange.answer(200)
    await asyncio.sleep(0.02)
    await exchange.say(b"HTTP/1.1 202 Unasked\r\nContent-Length: 0\r\n\r\n")
