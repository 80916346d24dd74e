"""A client that a public generator makes of the schema, untouched, against the real api."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client

from tasks_app.models import Task
from tests.support import factories
from tests.support.api_server import api_server
from tests.support.callers import api_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
NAME = "aftercommit_client"
GENERATOR = Path(sys.executable).with_name("openapi-python-client")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the name of the generated package, importable."""
    folder = tmp_path_factory.mktemp("generated")
    schema, config = folder / "schema.json", folder / "config.yaml"
    schema.write_bytes(Client().get("/api/schema/").content)
    config.write_text("post_hooks: []\n")
    told = ("--path", schema, "--config", config, "--meta", "none", "--output-path", folder / NAME)
    made = subprocess.run(
        [GENERATOR, "generate", *told],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield NAME
    sys.path.remove(str(folder))
    for name in [one for one in sys.modules if one.split(".")[0] == NAME]:
        del sys.modules[name]


def part(package: str, name: str) -> Any:
    return importlib.import_module(f"{package}.{name}")


def test_it_creates_lists_changes_and_deletes_a_task(package: str) -> None:
    workspace = factories.workspace()
    key = api_key(factories.member(workspace))[0]
    models, tasks = part(package, "models"), f"{package}.api.tasks"
    with api_server() as port:
        client = part(package, "client").AuthenticatedClient(
            base_url=f"http://127.0.0.1:{port}", token=key, raise_on_unexpected_status=True
        )

        def call(operation: str, *args: Any, **given: Any) -> Any:
            module = importlib.import_module(f"{tasks}.{operation}")
            return module.sync_detailed(*args, client=client, **given)

        wanted = models.TaskRequest(title="By a stranger's client", labels=["ops"])
        made = call("tasks_create", body=wanted)
        assert (made.status_code, made.parsed.title) == (201, "By a stranger's client")
        page = call("tasks_list", status=[models.TaskStatus.OPEN]).parsed
        assert [task.id for task in page.results] == [made.parsed.id]
        change = models.PatchedTaskRequest(status=models.TaskStatus.DONE)
        changed = call(
            "tasks_partial_update", made.parsed.id, body=change, if_match=made.headers["ETag"]
        )
        assert (changed.parsed.status, changed.parsed.version) == (models.TaskStatus.DONE, 2)
        refused = call("tasks_create", body=models.TaskRequest(title=" "))
        problem = orjson.loads(refused.content)
        assert (refused.status_code, problem["errors"][0]["pointer"]) == (400, "/title")
        assert refused.parsed.errors[0].code == "blank"
        gone = call("tasks_destroy", made.parsed.id)
        assert gone.status_code == 204
        client.get_httpx_client().close()
    assert not Task.objects.exists()


def test_it_has_a_function_for_every_operation(package: str) -> None:
    """What the generator can't express it leaves out with a warning."""
    document = Client().get("/api/schema/").json()
    wanted = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if "operationId" in operation
    }
    folder = Path(str(importlib.import_module(package).__file__)).parent / "api"
    assert wanted == {file.stem for file in folder.rglob("*.py")} - {"__init__"}
