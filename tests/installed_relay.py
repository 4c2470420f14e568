"""The installed command `relay`, over a data dir, a configuration and a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker

PROGRAM = Path(sys.executable).with_name("relay")
IMAGE = "relay-test/busybox"


@dataclass(frozen=True)
class Done:
    """Result of a finished run."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """The one JSON document on stdout."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def rows(self) -> list[dict[str, object]]:
        """The JSON list on stdout."""
        value = json.loads(self.out)
        assert isinstance(value, list)
        return value

    @property
    def error(self) -> dict[str, str]:
        """The error document on stderr; there is nothing on stdout beside it."""
        assert self.out == ""
        value = json.loads(self.err)
        assert list(value) == ["error"]
        assert list(value["error"]) == ["kind", "title", "detail", "hint"]
        error: dict[str, str] = value["error"]
        return error


@dataclass(frozen=True)
class InstalledRelay:
    """Runner of the installed `relay`. All files that it reads or writes are below `root`."""

    root: Path
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data dir."""
        return self.root / "data"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "config.toml"

    @property
    def env(self) -> dict[str, str]:
        """The environment it runs in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "RELAY_", "XDG_"))}
        own = {
            "RELAY_DATA_DIR": str(self.data),
            "RELAY_CONFIG": str(self.config),
            "XDG_STATE_HOME": str(self.root / "state"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
        }
        return kept | own | dict(self.more)

    def run(self, *arguments: str | Path, given: bytes = b"", cwd: Path | None = None) -> Done:
        """Run it to its end, without a terminal."""
        done = subprocess.run(
            (PROGRAM, *arguments), env=self.env, input=given, capture_output=True, check=False, timeout=60, cwd=cwd
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def begin(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Begin to run it, without a terminal, its errors to be read."""
        return subprocess.Popen(
            ("env", "--default-signal=INT", PROGRAM, *arguments),  # a job in a script's background ignores it
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def json(self, *arguments: str | Path) -> dict[str, object]:
        """Run it with --json; it succeeds, and this is the document."""
        done = self.run(*arguments, "--json")
        assert done.code == 0, done.err
        return done.document

    def fails(self, code: int, *arguments: str | Path) -> dict[str, str]:
        """Run it with --json; it fails with `code`, and this is the error."""
        done = self.run(*arguments, "--json")
        assert done.code == code, (done.code, done.out, done.err)
        return done.error

    def left(self) -> set[str]:
        """Return the relative names in the data directory, except the store and the permanent directories."""
        always = {"projects", "locks", "tmp", "trash", "cache", "store.json", "store.json.bak", "store.lock"}
        always |= {"processes", "processes/.listeners", "reserve"}
        return {
            name
            for path in self.data.rglob("*")
            if (name := str(path.relative_to(self.data))) not in always
            and not name.startswith(("cache/", "processes/.listeners/", "reserve/"))
        }

    def holds(self, secret: str) -> list[Path]:
        """The files below the root that hold `secret`, in their content or their name."""
        word = secret.encode()
        return [
            path
            for path in self.root.rglob("*")
            if secret in path.name or (path.is_file() and not path.is_symlink() and word in path.read_bytes())
        ]


def clear_engine(client: docker.DockerClient, root: Path) -> None:
    """Remove the containers of every data dir below `root`."""
    for container in client.containers.list(all=True, filters={"label": "relay.data-dir"}, ignore_removed=True):
        if container.labels["relay.data-dir"].startswith(f"{root}/"):
            container.remove(force=True, v=True)
