"""Fan-out: committed events to many followers, beside plain Channels consumers in the same run.

Ours carries each event from its commit (PostgreSQL included) through the real stream process;
the peers only relay a text through the channel layer. Bounded in events and seconds.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
from django.utils.module_loading import import_string

from config.embedded.ports import free_port
from tests.benchmarks.plain_layer import GROUP, layer_config
from tests.support.servers import own_postgres, own_valkey

CHECKOUT = Path(__file__).resolve().parents[2]
LAYERS = {
    "plain consumer, core layer": "channels_redis.core.RedisChannelLayer",
    "plain consumer, pubsub layer": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
TEXT_BYTES = 600  # about the size of a task_created event


def main() -> None:
    """Measure, print a table, write JSON."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--followers", type=int, default=1000)
    arguments.add_argument("--events", type=int, default=100)
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops what it started, too
    with own_postgres() as postgres, own_valkey() as valkey:
        os.environ |= {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "LOG_LEVEL": "ERROR",
        }
        django.setup()
        rows = [_ours(server, options) for server in ("uvicorn", "daphne")]
        rows += [_peer(name, layer, options) for name, layer in LAYERS.items()]
    _report(rows, options)


def _ours(server: str, options: argparse.Namespace) -> dict[str, Any]:
    from django.core.management import call_command  # noqa: PLC0415 needs django.setup()

    from tests.support.stream_world import new_member, write  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    member, port = new_member(), free_port()
    command = [sys.executable, "manage.py", "stream", "--port", str(port), "--server", server]

    def publish() -> None:
        for _ in range(options.events):
            write(member.workspace.pk, title=f"stamp:{time.time()}")

    with _running(command, port, {"ROLE": "stream"}) as process:
        url = f"http://127.0.0.1:{port}/ws/tasks"
        return _measure(f"this stream, {server}", url, member.key, publish, options, process)


def _peer(name: str, layer: str, options: argparse.Namespace) -> dict[str, Any]:
    port = free_port()
    target = "tests.benchmarks.plain_consumer:application"
    command = [sys.executable, "-m", "uvicorn", target, "--port", str(port)]
    command += ["--ws", "websockets-sansio", "--log-level", "error", "--lifespan", "off"]

    def publish() -> None:
        asyncio.run(_send_to_group(layer, options.events))

    with _running(command, port, {"BENCH_LAYER": layer}) as process:
        return _measure(name, f"http://127.0.0.1:{port}/", "-", publish, options, process)


async def _send_to_group(layer: str, events: int) -> None:
    sender = import_string(layer)(**layer_config(layer)["default"]["CONFIG"])
    for _ in range(events):
        text = f"stamp:{time.time()}".ljust(TEXT_BYTES, "x")
        await sender.group_send(GROUP, {"type": "event.happened", "text": text})
    await sender.flush() if "pubsub" in layer else await sender.close_pools()


def _measure(
    name: str,
    url: str,
    key: str,
    publish: Callable[[], None],
    options: argparse.Namespace,
    process: "subprocess.Popen[bytes]",
) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.listeners", url, key]
    command += [str(options.followers), str(options.events)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as listeners:
        assert listeners.stdout is not None
        assert listeners.stdout.readline().strip() == "ready"
        spent, began = _cpu_seconds(process.pid), time.time()
        publish()
        published = time.time()
        report = json.loads(listeners.stdout.readline())
        spent = _cpu_seconds(process.pid) - spent
    wanted = options.followers * options.events
    return {
        "name": name,
        "deliveries_per_second": round(report["received"] / (report["finished"] - began)),
        "server_cpu_us_per_delivery": round(spent / max(report["received"], 1) * 1e6, 1),
        "p50_ms": report["p50_ms"],
        "p99_ms": report["p99_ms"],
        "lost": wanted - report["received"],
        "publish_seconds": round(published - began, 3),
    }


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _running(
    command: list[str], port: int, variables: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    from tests.support.threads import until  # noqa: PLC0415 needs django.setup()

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | variables) as process:
        try:
            until(listens, f"{command[2:4]} listens")
            time.sleep(1)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _report(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(f"{options.followers} followers, {options.events} events\n")
    print("| way | deliveries/s | server µs each | p50 ms | p99 ms | lost |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        print(
            f"| {row['name']} | {row['deliveries_per_second']} |"
            f" {row['server_cpu_us_per_delivery']} | {row['p50_ms']} | {row['p99_ms']} |"
            f" {row['lost']} |"
        )
    folder = Path(os.environ.get("DATA_DIR") or CHECKOUT / ".data") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    result = {"run": str(uuid.uuid4()), "options": vars(options), "rows": rows}
    (folder / "fanout.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
