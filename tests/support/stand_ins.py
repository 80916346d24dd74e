"""A supervisor over stand-ins, as a process of its own: for tests that kill it.

``python -m tests.support.stand_ins FOLDER NAME=COMMAND …`` runs each command under a shell and
keeps it running; SIGTERM stops them in the order in which they were named.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from config.embedded.process import ProcessSpec
from config.supervisor.log import Log
from config.supervisor.run_folder import RunFolder
from config.supervisor.supervisor import Supervisor


def spec(name: str, command: str, *, grace: float = 5.0) -> ProcessSpec:
    """Return a process that runs a line of shell."""
    return ProcessSpec(
        name=name, command=("/bin/sh", "-c", command), environment=dict(os.environ), grace=grace
    )


async def _main(folder: Path, specs: list[ProcessSpec]) -> None:
    run = RunFolder(folder)
    run.hold()
    left = run.end_leftovers()
    log = Log(sys.stdout, colour=False)
    log.say("up", f"left: {' '.join(left) or 'nothing'}")
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    supervisor = Supervisor(log=log, run=run)
    supervisor.start(specs)
    await told.wait()
    await supervisor.stop([one.name for one in specs])
    log.say("up", "stopped")
    log.close()


if __name__ == "__main__":
    pairs = [argument.partition("=") for argument in sys.argv[2:]]
    asyncio.run(_main(Path(sys.argv[1]), [spec(name, line) for name, _, line in pairs]))
