"""docker-compose.yml and Dockerfile as they are, with plain processes for containers.

Debian's PostgreSQL and Redis, Caddy with the repository's Caddyfile and a certificate, two
workers, two streams found by name, all as an ordinary account; through them goes the proof of the
whole road.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from config.embedded.ports import free_port
from tests.acceptance import test_the_whole_road as proof
from tests.acceptance.test_the_whole_road import Road, road  # noqa: F401 - walks in our house
from tests.support.background import in_background
from tests.support.compose import CHECKOUT, read_env_file
from tests.support.containers import missing_programs
from tests.support.deployment import STOP_ORDER, Deployment
from tests.support.house import House
from tests.support.image import Image, build
from tests.support.name_server import name_server, says
from tests.support.servers import throw_away_folder
from tests.support.threads import until

pytestmark = pytest.mark.timeout(600)
SCALE = {"worker": 2, "stream": 2}


class Deployed(House):
    """A deployment, asked as a house is, over HTTPS."""

    __slots__ = ()

    @property
    def url(self) -> str:
        """The one address."""
        return f"https://localhost:{self.port}"

    @property
    def socket_url(self) -> str:
        """The same for WebSockets."""
        return f"wss://localhost:{self.port}"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with throw_away_folder() as made:
        yield made


@pytest.fixture(scope="module")
def image(folder: Path) -> Image:
    missing = missing_programs()
    if missing and not os.environ.get("CI"):
        pytest.skip(f"needs Debian's {', '.join(missing)}")
    assert not missing, f"apt-get install {' '.join(missing)}"
    (folder / "image").mkdir(mode=0o755)
    return build(folder / "image")


def make_secrets(folder: Path) -> Path:
    """Make them by the recipe of docs/operations.md; return where they are."""
    text = (CHECKOUT / "docs/operations.md").read_text(encoding="utf-8")
    recipe = next(block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if "k1:" in block)
    subprocess.run(["sh", "-eu", "-c", recipe], cwd=folder, check=True)
    (folder / "secrets").chmod(0o755)  # Docker mounts the files alone
    return folder / "secrets"


@pytest.fixture(scope="module")
def deployment(folder: Path, image: Image) -> Iterator[Deployment]:
    """Everything up, with what .env.example says must be set."""
    port, plain, sandbox = (free_port() for _ in range(3))
    variables = read_env_file(CHECKOUT / ".env.example") | {
        "SITE_ADDRESS": f"https://localhost:{port}",
        "ALLOWED_HOSTS": "localhost",
        "PUBLIC_URL": f"https://localhost:{port}",
        "SECRETS_DIR": str(make_secrets(folder)),
        "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.1/32",  # where the outside world's stand-in listens
        "SANDBOX_PORT": str(sandbox),
        "REDIRECT_PORT": str(plain),
        "PORT": str(port),
    }
    with in_background(name_server()) as dns:
        made = Deployment(
            root=folder, image=image, variables=variables, resolver=dns.address, scale=SCALE
        )
        dns.zone.update({name: says(made.addresses[name]) for name in ("api", "stream")})
        with contextlib.ExitStack() as whatever_happens:
            whatever_happens.callback(made.stop)
            made.up()
            yield made
            ended = made.stop()
    # Told to stop, in order: each in its grace, by itself, with nothing to complain of.
    assert ended == {name: [0] * SCALE.get(name, 1) for name in STOP_ORDER}


@pytest.fixture(scope="module")
def house(deployment: Deployment, folder: Path) -> Iterator[Deployed]:
    """The deployment with the demo in it, and the outside world beside it."""
    variables = deployment.variables
    deployment.run("api", "load_demo", DEMO_ALLOWED="true")
    (folder / "run").mkdir()
    database = deployment.database_url()
    (folder / "run/environment").write_text(f"DATABASE_URL={database}\n", encoding="utf-8")
    authority = deployment.of("proxy")[0].folder / "caddy/pki/authorities/local/root.crt"
    until(authority.exists, "the proxy has an authority")
    with pytest.MonkeyPatch.context() as patch, (folder / "sandbox.log").open("wb") as log:
        patch.setenv("SSL_CERT_FILE", str(authority))
        command = [sys.executable, "manage.py", "sandbox", "--port", variables["SANDBOX_PORT"]]
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings.test"}
        outside = subprocess.Popen(
            command, cwd=CHECKOUT, env=os.environ | settings, stdout=log, stderr=log
        )
        try:
            yield Deployed(
                port=int(variables["PORT"]),
                sandbox_port=int(variables["SANDBOX_PORT"]),
                data_dir=folder,
                process=outside,
                log=folder / "sandbox.log",
            )
        finally:
            outside.terminate()
            outside.wait(20)


@pytest.mark.parametrize(
    "holds",
    [
        proof.test_the_log_is_dense_and_holds_every_change_that_was_told,
        proof.test_every_change_was_received_once_with_a_valid_signature,
        proof.test_every_task_s_changes_were_received_in_order,
        proof.test_the_restless_follower_really_came_back,
        proof.test_api_database_and_clients_agree,
    ],
)
def test_the_whole_road_holds(road: Road, holds: Callable[[Road], None]) -> None:  # noqa: F811
    holds(road)


@pytest.mark.parametrize("name", ["steady", "restless", "source"])
def test_every_follower_saw_everything(road: Road, name: str) -> None:  # noqa: F811
    proof.test_every_follower_saw_the_whole_log_once_and_in_order(road, name)


def test_the_image_passes_the_deployment_checks(deployment: Deployment) -> None:
    said = deployment.run("api", "check", "--deploy", "--fail-level", "WARNING")
    assert "no issues" in said


def test_plain_http_is_sent_to_https(house: Deployed, deployment: Deployment) -> None:
    answer = httpx.get(f"http://localhost:{deployment.variables['REDIRECT_PORT']}/healthz")
    assert answer.status_code in {301, 308}
    assert answer.headers["Location"].startswith("https://localhost")


def test_static_files_are_served_and_hosts_that_nobody_named_reach_nobody(house: Deployed) -> None:
    assert httpx.get(f"{house.url}/static/admin/css/base.css").status_code == 200
    foreign = httpx.get(f"{house.url}/api/v1/tasks/", headers={"Host": "example.com"})
    assert foreign.content == b""  # the proxy's own word for "no such site"
    assert "X-Request-ID" not in foreign.headers
