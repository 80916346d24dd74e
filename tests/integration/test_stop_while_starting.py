"""A process that is told to stop in the moment of its birth is told, not waited for."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

from config.supervisor.child import Child
from config.supervisor.log import Log
from config.supervisor.run_folder import RunFolder
from tests.support.stand_ins import spec

FAR_TOO_LONG = 90.0  # seconds of grace, so that only a signal can end it in time


async def test_a_stop_while_the_process_is_being_made_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(io.StringIO(), colour=False)
    child = Child(
        spec("api", "exec sleep 600", grace=FAR_TOO_LONG), log=log, run=RunFolder(tmp_path)
    )
    loop = asyncio.get_running_loop()
    make, stops = loop.subprocess_exec, asyncio.Queue[asyncio.Task[None]]()

    async def stop_in_between(*arguments: Any, **options: Any) -> Any:
        made = await make(*arguments, **options)
        stops.put_nowait(asyncio.create_task(child.stop()))
        await asyncio.sleep(0)  # it stops, and there is no pid yet to tell it to
        return made

    monkeypatch.setattr(loop, "subprocess_exec", stop_in_between)
    child.start()
    async with asyncio.timeout(30):
        await (await stops.get())
    assert not child.running
    log.close()
