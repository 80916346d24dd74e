"""From nothing to a running Aftercommit: servers, schema, demo, processes, welcome."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping

from config.embedded.place import Place, settle_place
from config.embedded.ports import remembered_ports
from config.embedded.postgres import Postgres
from config.embedded.process import ProcessSpec
from config.embedded.secret_file import write_private
from config.embedded.trouble import CannotStart
from config.embedded.valkey import Valkey
from config.supervisor.log import Log, wants_colour
from config.supervisor.options import Options, check_ports, read_options
from config.supervisor.plan import STOP_ORDER, processes, shared_environment, step
from config.supervisor.readiness import wait_for_workers, wait_until_ready
from config.supervisor.run_folder import RunFolder
from config.supervisor.supervisor import Supervisor
from config.supervisor.welcome import welcome

SERVERS_PATIENCE = 60.0  # recovery after a crash may have much to replay
PATIENCE = 120.0
WORKERS_PATIENCE = 20.0
# A signal to the whole group reaches us twice: from its sender, and passed on by make.
ONE_WISH = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run() -> int:
    """Start everything, keep it running until a signal, stop it; return the exit code."""
    log = Log(sys.stdout, colour=wants_colour(sys.stdout, os.environ))
    try:
        return asyncio.run(_run(log))
    except CannotStart as error:
        log.say("up", str(error))
        return 1
    finally:
        log.close()


async def _run(log: Log) -> int:
    options = read_options(os.environ)
    place = settle_place(options.data_dir)
    folder = RunFolder(place.run)
    folder.hold()
    try:
        folder.record("up", os.getpid())
        return await Launch(options, place, folder, log).run()
    finally:
        folder.forget("up")
        folder.release()


class Launch:
    """One start, one run, one stop."""

    def __init__(self, options: Options, place: Place, folder: RunFolder, log: Log) -> None:
        self._options = options
        self._place = place
        self._folder = folder
        self._log = log
        self._supervisor = Supervisor(log=log, run=folder)
        self._stop = asyncio.Event()
        self._told_at = 0.0

    async def run(self) -> int:
        """Run until a signal arrives or the start fails; raises CannotStart then."""
        self._listen_to_signals()
        start = asyncio.create_task(self._start())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
            await stop
        finally:
            await self._end(start)
        return 0

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._told_to_stop)

    def _told_to_stop(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._stop.is_set() and now - self._told_at < ONE_WISH:
            return
        self._told_at = now
        if self._stop.is_set():
            self._log.say("up", "Told twice: ending everything now.")
            self._supervisor.hurry()
        else:
            self._log.say("up", "Stopping; again to hurry.")
            self._stop.set()

    async def _end(self, start: asyncio.Task[None]) -> None:
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)  # whatever it was: all is stopped
        if await self._supervisor.stop(STOP_ORDER):
            self._log.say("up", "Stopped. The data stays for the next start.")
        (self._place.run / "environment").unlink(missing_ok=True)

    async def _start(self) -> None:
        if left := await asyncio.to_thread(self._folder.end_leftovers):
            self._log.say("up", f"Ended what an earlier run left behind: {', '.join(left)}.")
        check_ports(self._options)
        ports = self._ports()
        environment = await self._start_servers(ports)
        await self._prepare(environment)
        self._supervisor.start(processes(self._options, self._place, ports, environment))
        await wait_until_ready(self._options.port, patience=PATIENCE)
        if not await wait_for_workers(self._options.port, patience=WORKERS_PATIENCE):
            self._log.say("up", "No worker or no beat yet: what is created waits for them.")
        self._log.plain(welcome(self._options))

    def _ports(self) -> dict[str, int]:
        names = [
            *("postgres", "valkey"),
            *self._options.api_names,
            *self._options.stream_names,
        ]
        wanted = (self._options.port, self._options.sandbox_port)
        return remembered_ports(names, self._place.run / "ports.json", avoid=wanted)

    async def _start_servers(self, ports: Mapping[str, int]) -> dict[str, str]:
        """Start the servers that are ours; return the environment that names all addresses."""
        home, account = self._place.home, self._place.account
        if self._place.moved and account is not None:
            self._log.say(
                "up", f"{account.name} may not enter {self._place.data_dir}: data is in {home}."
            )
        postgres = Postgres(home=home, port=ports["postgres"], account=account)
        valkey = Valkey(home=home, port=ports["valkey"], account=account)
        ours: list[ProcessSpec] = []
        for given, server in (
            (self._options.database_url, postgres),
            (self._options.redis_url, valkey),
        ):
            if not given:
                await asyncio.to_thread(server.prepare)
                ours.append(server.spec())
        self._supervisor.start(ours)
        await self._supervisor.ready(ours, patience=SERVERS_PATIENCE)
        return self._write_environment(
            database_url=self._options.database_url or postgres.url,
            redis_url=self._options.redis_url or valkey.url,
        )

    def _write_environment(self, *, database_url: str, redis_url: str) -> dict[str, str]:
        environment = shared_environment(
            self._options, self._place, database_url=database_url, redis_url=redis_url
        )
        lines = "".join(f"{name}={value}\n" for name, value in environment.items())
        write_private(self._place.run / "environment", lines)
        return environment

    async def _prepare(self, environment: Mapping[str, str]) -> None:
        """Bring the schema up to date, load the demo, collect the static files."""
        code = await self._supervisor.run_once(step("prepare", environment=environment))
        if code:
            raise CannotStart(f"prepare ended with code {code}; its own lines above say why.")
