"""The image without Docker: what the Dockerfile says, done in a folder.

pip's arguments are handed to uv, which reads them alike and takes a fifth of the time.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.embedded.account import can_run, unprivileged_account

CHECKOUT = Path(__file__).resolve().parents[2]
UV: Final = (str(Path(sysconfig.get_path("scripts")) / "uv"), "pip", "install", "--quiet")


@dataclass(slots=True)
class Stage:
    """One stage: its instructions in order."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """Return what follows a word, each time."""
        return [rest for name, rest in self.steps if name == word]

    @property
    def environment(self) -> dict[str, str]:
        """Return ENV."""
        pairs = (pair.partition("=") for rest in self.all("ENV") for pair in shlex.split(rest))
        return {name: value for name, _, value in pairs}

    def listed(self, word: str) -> list[str]:
        """Return the last such instruction's JSON list."""
        found: list[str] = json.loads(re.sub(r"^.*?(?=\[)", "", self.all(word)[-1]))
        return found


def read_dockerfile() -> list[Stage]:
    """Return the stages of the Dockerfile."""
    text = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    stages: list[Stage] = []
    for line in joined.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append(Stage(base=rest))
        elif stages:
            stages[-1].steps.append((word, rest))
    return stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A root folder with what the image has beside its base: /venv, /app, /srv/static."""

    root: Path
    environment: dict[str, str]
    entrypoint: list[str]
    healthcheck: list[str]

    @property
    def workdir(self) -> Path:
        """Return the image's working directory."""
        return self.root / "app"


def build(root: Path) -> Image:
    """Do the Dockerfile in a folder: its installation, its COPYs, its environment."""
    first, last = read_dockerfile()
    _run(_python(), "-m", "venv", "--without-pip", str(root / "venv"))
    for rest in first.all("COPY"):
        _copy(rest, root / "tmp", root)
    installs = [shlex.split(step) for step in first.all("RUN") if "pip install" in step]
    for command in installs:
        python, _, _, _, *arguments = (_inside(word, root) for word in command)
        _run(*UV, "--system-certs", "--compile-bytecode", "--python", python, *arguments)
    for rest in last.all("COPY"):
        if not rest.startswith("--from="):
            _copy(rest, root / "app", root)
    for step in last.all("RUN"):
        if "compileall" in step:
            _run(*(_inside(word, root) for word in shlex.split(step)), at=root / "app")
    (root / "srv/static").mkdir(parents=True)
    if account := unprivileged_account():
        os.chown(root / "srv/static", account.uid, account.gid)
    environment = {name: _inside(value, root) for name, value in last.environment.items()}
    environment["PATH"] = environment["PATH"].replace("$PATH", "/usr/bin:/bin")
    return Image(
        root=root,
        environment=environment,
        entrypoint=[_inside(word, root) for word in last.listed("ENTRYPOINT")],
        healthcheck=[_inside(word, root) for word in last.listed("HEALTHCHECK")],
    )


def _python() -> str:
    """Return a Python that the account may run: this one may lie where only its owner goes."""
    account = unprivileged_account()
    offered = [
        str(getattr(sys, "_base_executable", "")),
        *(shutil.which(f"python3.{n}") for n in (13, 12, 11)),
    ]
    offered += [f"/usr/bin/python3.{n}" for n in (13, 12, 11)]
    for program in filter(None, offered):
        if can_run(Path(program).resolve(), account):
            return program
    raise AssertionError("no Python 3.11 to 3.13 that an ordinary account may run")


def _inside(word: str, root: Path) -> str:
    """Return a path of the image as it is here."""
    return re.sub(r"^/(?=venv|srv|app|tmp)", f"{root}/", word)


def _copy(rest: str, workdir: Path, root: Path) -> None:
    *sources, target = rest.split()
    to = Path(_inside(target, root)) if target.startswith("/") else workdir / target
    for source in sources:
        whole = CHECKOUT / source
        if whole.is_dir():
            shutil.copytree(whole, to, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            place = to / source if target.endswith("/") else to
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole, place)


def _run(*command: str, at: Path | None = None) -> None:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
