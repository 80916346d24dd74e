"""What ``up`` reads from the environment. A wrong value is a sentence naming the variable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.embedded.caddy import loopback_hosts
from config.embedded.ports import is_free
from config.embedded.trouble import CannotStart
from config.env import Environment, data_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices of one start."""

    data_dir: Path
    port: int
    sandbox_port: int
    apis: int
    streams: int
    workers: int
    beats: int
    stream_server: str
    database_url: str = field(repr=False)  # "" means: start our own
    redis_url: str = field(repr=False)
    networks: str

    @property
    def api_names(self) -> list[str]:
        """``api``, then ``api-2`` …"""
        return _numbered("api", self.apis)

    @property
    def stream_names(self) -> list[str]:
        """``stream``, then ``stream-2`` …"""
        return _numbered("stream", self.streams)

    @property
    def beat_names(self) -> list[str]:
        """``beat``, then ``beat-2`` …"""
        return _numbered("beat", self.beats)

    @property
    def worker_names(self) -> list[str]:
        """``worker-1``, ``worker-2`` …"""
        return [f"worker-{number}" for number in range(1, self.workers + 1)]


def read_options(variables: Mapping[str, str]) -> Options:
    """Return the choices; raises CannotStart on a value that is none."""
    env = Environment(variables)
    try:
        return Options(
            data_dir=data_dir(),
            port=env.integer("PORT", 8000, low=1, high=65535),
            sandbox_port=env.integer("SANDBOX_PORT", 8001, low=1, high=65535),
            apis=env.integer("APIS", 1, low=1, high=32),
            streams=env.integer("STREAMS", 1, low=1, high=32),
            workers=env.integer("WORKERS", 1, low=1, high=32),
            beats=env.integer("BEATS", 1, low=1, high=4),
            stream_server=env.choice("STREAM_SERVER", "uvicorn", ("uvicorn", "daphne")),
            database_url=env.text("DATABASE_URL", ""),
            redis_url=env.text("REDIS_URL", ""),
            networks=env.text("OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8"),
        )
    except ImproperlyConfigured as error:
        raise CannotStart(str(error)) from error


def check_ports(options: Options) -> None:
    """Raise CannotStart naming the variable whose port can't be had."""
    if options.port == options.sandbox_port:
        raise CannotStart(f"PORT and SANDBOX_PORT are both {options.port}: they must differ.")
    for name, port, hosts in (
        ("PORT", options.port, loopback_hosts()),
        ("SANDBOX_PORT", options.sandbox_port, ("127.0.0.1",)),
    ):
        if not is_free(port, hosts):
            raise CannotStart(
                f"{name} {port} is taken by another program (or not yours to use): end that one, "
                f"or choose another port, as in: make up {name}={_another(port)}"
            )


def _numbered(name: str, count: int) -> list[str]:
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]


def _another(port: int) -> int:
    return port + 1000 if port + 1000 <= 65535 else port - 1000
