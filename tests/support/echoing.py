"""Destinations that give away what they were sent, each in a way of its own."""

import asyncio
import json

from tests.support.receiver import Exchange

WAYS = ("echo", "json", "fail", "refuse", "cut", "garbage", "redirect", "gone", "slow")


def told(exchange: Exchange) -> bytes:
    """Return the request as it came, head and body."""
    request = exchange.request
    lines = [request.line, *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\n".join(lines).encode() + b"\n" + request.body


async def give_away(exchange: Exchange) -> None:
    """Answer in the way that the path names: `/echo`, `/json` …"""
    way = exchange.request.line.split("/")[1].split("?")[0].split(" ")[0]
    all_of_it = told(exchange)
    one_line = all_of_it.replace(b"\n", b" ")
    match way:
        case "json":
            said = {"headers": exchange.request.headers, "line": exchange.request.line}
            await exchange.answer(500, json.dumps(said).encode())
        case "fail" | "refuse" | "gone":
            await exchange.answer({"fail": 500, "refuse": 401, "gone": 410}[way], all_of_it)
        case "cut":
            length = b"Content-Length: 99999\r\n\r\n"
            await exchange.say(b"HTTP/1.1 200 OK\r\n" + length + all_of_it)
            exchange.writer.close()
        case "garbage":
            await exchange.say(one_line + b"\r\n\r\n")
            exchange.writer.close()
        case "redirect":
            where = exchange.request.headers.get("authorization", "none")
            await exchange.answer(302, all_of_it, Location=f"http://127.0.0.1:1/?{where}")
        case "slow":
            await exchange.say(b"HTTP/1.1 200 OK\r\nX: " + one_line[:500] + b"\r\n")
            await asyncio.sleep(3_600)
        case _:
            await exchange.answer(200, all_of_it)
