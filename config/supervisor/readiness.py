"""Ready means: what a user asks first is answered, through the one address."""

import asyncio
import http.client

from config.embedded.trouble import CannotStart

PATHS = ("/healthz", "/readyz", "/stream/readyz")


def answers(port: int, path: str) -> bool:
    """Tell whether the path is answered with 200 through the proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
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
        good = await asyncio.gather(*(asyncio.to_thread(answers, port, path) for path in missing))
        missing = [path for path, fine in zip(missing, good, strict=True) if not fine]
        if missing and loop.time() > end:
            raise CannotStart(
                f"Not ready within {patience:g} s: {', '.join(missing)}. The lines above say why."
            )
        await asyncio.sleep(0.1 if missing else 0)
