"""Ready means: what a user asks first is answered, through the one address."""

import asyncio
import http.client
import json

from config.embedded.trouble import CannotStart

PATHS = ("/healthz", "/readyz", "/stream/readyz")


def answer(port: int, path: str) -> bytes | None:
    """Return the body of the proxy's answer if it is a 200, else None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        reply = connection.getresponse()
        return reply.read() if reply.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


async def wait_until_ready(port: int, *, patience: float) -> None:
    """Wait until every path answers.

    Raises CannotStart naming those that don't within ``patience`` seconds.
    """
    missing = list(PATHS)
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while missing:
        good = await asyncio.gather(*(asyncio.to_thread(answer, port, path) for path in missing))
        missing = [path for path, fine in zip(missing, good, strict=True) if fine is None]
        if missing and loop.time() > end:
            raise CannotStart(
                f"Not ready within {patience:g} s: {', '.join(missing)}. The lines above say why."
            )
        await asyncio.sleep(0.1 if missing else 0)


async def wait_for_workers(port: int, *, patience: float) -> bool:
    """Wait until api sees a live worker and beat too; tell whether it did within ``patience``."""
    end = asyncio.get_running_loop().time() + patience
    while not _all_checks_pass(await asyncio.to_thread(answer, port, "/readyz")):
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.1)
    return True


def _all_checks_pass(body: bytes | None) -> bool:
    try:
        checks = json.loads(body or b"")["checks"]
    except (ValueError, KeyError, TypeError):
        return False
    return all(checks.values())
