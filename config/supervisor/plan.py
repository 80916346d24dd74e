"""Which processes there are, with which commands and which environment."""

import base64
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

from django.core.exceptions import ImproperlyConfigured

from config import roles
from config.embedded.caddy import caddy
from config.embedded.place import Place
from config.embedded.process import ProcessSpec
from config.embedded.secret_file import kept_secret
from config.embedded.trouble import CannotStart
from config.env import CHECKOUT, Environment
from config.supervisor.options import Options

# The door first, so that nothing new comes in; the data last, so that all can still write.
STOP_ORDER = ("proxy", "api", "stream", "beat", "worker", "sandbox", "valkey", "postgres")
WORKER_GRACE = 70.0  # seconds; longer than Celery's own soft shutdown


def shared_environment(
    options: Options, place: Place, *, database_url: str, redis_url: str
) -> dict[str, str]:
    """Return what every process of ours, and every ``manage.py`` beside them, needs to know."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(place.data_dir),
        "STATIC_ROOT": str(place.home / "static"),
        "PORT": str(options.port),
        "SANDBOX_PORT": str(options.sandbox_port),
        "STREAM_SERVER": options.stream_server,
        "OUTBOUND_ALLOWED_NETWORKS": options.networks,
        "SECRET_KEY": _secret(place, "SECRET_KEY", _new_secret_key),
        "ENCRYPTION_KEYS": _secret(place, "ENCRYPTION_KEYS", _new_encryption_key),
    }


def step(name: str, *, environment: Mapping[str, str]) -> ProcessSpec:
    """Return a ``manage.py`` command that runs once.

    What it writes (the static files) is for the proxy to read, which may run as another.
    """
    spec = _python(name, "manage.py", name, role="command", environment=environment)
    return replace(spec, umask=0o022)


def processes(
    options: Options, place: Place, ports: Mapping[str, int], environment: Mapping[str, str]
) -> list[ProcessSpec]:
    """Return everything but the two servers."""
    return [
        *(_api(name, ports[name], environment) for name in options.api_names),
        *(_stream(name, ports[name], environment) for name in options.stream_names),
        *(_worker(name, environment) for name in options.worker_names),
        *(_beat(name, place, environment) for name in options.beat_names),
        _sandbox(options, environment),
        caddy(
            home=place.home,
            caddyfile=CHECKOUT / "Caddyfile",
            account=place.account,
            port=options.port,
            apis=[ports[name] for name in options.api_names],
            streams=[ports[name] for name in options.stream_names],
            static_root=place.home / "static",
        ),
    ]


def _api(name: str, port: int, environment: Mapping[str, str]) -> ProcessSpec:
    command = roles.api(host="127.0.0.1", port=port)
    return _python(name, *command, role="api", environment=environment)


def _stream(name: str, port: int, environment: Mapping[str, str]) -> ProcessSpec:
    command = roles.stream(host="127.0.0.1", port=port)
    return _python(name, *command, role="stream", environment=environment)


def _worker(name: str, environment: Mapping[str, str]) -> ProcessSpec:
    command = roles.worker(name=name)
    return _python(name, *command, role="worker", environment=environment, grace=WORKER_GRACE)


def _beat(name: str, place: Place, environment: Mapping[str, str]) -> ProcessSpec:
    command = roles.beat(schedule=place.run / f"{name}-schedule")
    return _python(name, *command, role="beat", environment=environment, grace=5.0)


def _sandbox(options: Options, environment: Mapping[str, str]) -> ProcessSpec:
    return _python(
        *("sandbox", "manage.py", "sandbox", "--port", str(options.sandbox_port)),
        role="command",
        environment=environment,
        grace=5.0,
    )


def _python(
    name: str, *arguments: str, role: str, environment: Mapping[str, str], grace: float = 15.0
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        command=(sys.executable, *arguments),
        environment={
            **os.environ,
            **environment,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "ROLE": role,
            "PYTHONUNBUFFERED": "1",  # a line in the log when it happens
        },
        directory=CHECKOUT,
        grace=grace,
    )


def _secret(place: Place, name: str, make: Callable[[], str]) -> str:
    """Return the variable, or its ``_FILE``, where it is set, else a secret kept in DATA_DIR."""
    try:
        given = Environment(os.environ).text(name, "")
    except ImproperlyConfigured as error:
        raise CannotStart(str(error)) from error
    return given or kept_secret(place.data_dir / name.lower(), make)


def _new_secret_key() -> str:
    return secrets.token_urlsafe(48)


def _new_encryption_key() -> str:
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
