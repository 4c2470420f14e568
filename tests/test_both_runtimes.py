"""One path through a session's life, the same for every runtime: containers, processes in a sandbox and without."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest
from conftest import missing
from git_servers import make_repository
from installed_relay import IMAGE, PROGRAM, Done, InstalledRelay, clear_engine
from processes import ORDINARY, as_ordinary, ordinary_place, python_for_all
from waiting import wait_until

from relay_tui.adapters.process import sandbox

_CONFIG = f"""
profile = "count"
image = "{IMAGE}"
[profiles.count]
command = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"
[profiles.fail]
command = "n=$(cat runs 2>/dev/null); echo i$n > runs; echo broken$n >&2; exit 3"
tty = false
[profiles.job]
command = "echo finished"
[profiles.crash]
command = "kill -SEGV $$"
"""
_MAIN = "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from relay_tui.__main__ import main; sys.exit(main())"
KINDS = ["docker", "process", "process-bare", "process-ordinary"]


@dataclass(frozen=True)
class Over(InstalledRelay):
    """relay over one kind of runtime; `program` is how its user runs it."""

    kind: str = ""
    program: tuple[str, ...] = (str(PROGRAM),)

    @property
    def runtime(self) -> str:
        """Name of the runtime given on the command line."""
        return self.kind.partition("-")[0]

    def run(self, *arguments: str | Path, given: bytes = b"", cwd: Path | None = None) -> Done:
        """Run it to its end, without a terminal."""
        command = (*self.program, *map(str, arguments))
        done = subprocess.run(command, env=self.env, input=given, capture_output=True, check=False, timeout=60, cwd=cwd)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def begin(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Begin to run it."""
        command = (*self.program, *map(str, arguments))
        return subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def session(self, name: str) -> dict[str, object]:
        """A session as it is on record."""
        return self.json("session", "show", name)

    def ticks(self, name: str) -> int:
        """The last number that it counted to."""
        words = self.run("session", "logs", name, "--tail", "1").out.split()
        return int(words[-1]) if words else 0


@pytest.fixture(params=KINDS)
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Over]:
    """relay over one kind of runtime, with nothing in it; nothing stays behind."""
    kind = str(request.param)
    if kind in {"process", "process-ordinary"} and not (found := sandbox.probe(tmp_path / "data")).works:
        missing(found.words)
    with ordinary_place() as root:
        relay = Over(root, kind=kind)
        if kind == "docker":
            request.getfixturevalue("engine")
        elif kind == "process-bare":
            broken = root / "bin/bwrap"
            broken.parent.mkdir()
            broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
            broken.chmod(0o755)
            relay = replace(relay, more={"PATH": f"{broken.parent}:{os.environ['PATH']}"})
        elif kind == "process-ordinary":
            relay = _ordinary(relay)
        relay.config.write_text(_CONFIG)
        make_repository(root / "demo", branches=("main", "side"))
        if kind == "process-ordinary" and not os.geteuid():
            subprocess.run(("chown", "-R", f"{ORDINARY}:{ORDINARY}", root), check=True)
        yield relay
        for row in relay.run("project", "list", "--json").rows:
            relay.run("project", "remove", str(row["id"]), "--yes")
        if kind == "docker":
            clear_engine(request.getfixturevalue("engine"), root)


def _ordinary(relay: Over) -> Over:
    python = python_for_all()
    if not python:
        missing("no Python that every user may run")
    libraries = [path for path in sys.path if path.endswith("-packages")]
    if subprocess.run((*as_ordinary(), "ls", *libraries), capture_output=True, check=False).returncode:
        ignored = shutil.ignore_patterns("__pycache__", "mypy*", "ruff*")
        for path in libraries:  # they are closed to other users
            shutil.copytree(path, relay.root / "libraries", ignore=ignored, dirs_exist_ok=True)
        libraries = [str(relay.root / "libraries")]
    paths = [str(relay.root / "source"), *libraries]
    home = {"HOME": str(relay.root), "PYTHONDONTWRITEBYTECODE": "1"}
    return replace(relay, more=home, program=(*as_ordinary(), python, "-c", _MAIN, ":".join(paths)))


def _kill(relay: Over, session: dict[str, object]) -> None:
    """Kill what keeps the session, as the kernel does when memory runs out."""
    container_id = str(session["container_id"])
    if relay.kind == "docker":
        docker.from_env().containers.get(container_id).kill()
        return
    state = json.loads((relay.data / "processes" / str(session["id"]) / "state.json").read_text())
    os.kill(int(state["pid"]), signal.SIGKILL)


@pytest.mark.engine
def test_the_life_of_a_session(relay: Over) -> None:
    add: tuple[str, ...] = ("project", "add", str(relay.root / "demo"), "--runtime", relay.runtime)
    if relay.kind == "process-bare":
        error = relay.fails(4, *add)
        assert error["title"] == "The session would not be isolated"
        assert "No permissions to create a new namespace" in error["detail"]
        assert "--not-isolated" in error["hint"]
        add = (*add, "--not-isolated")
    relay.json(*add)
    made = relay.session("main")
    assert (made["runtime"], made["state"]) == (relay.runtime, "running")
    assert made["isolated"] is (relay.kind != "process-bare")
    assert str(made["container_id"]).startswith("process-") is (relay.runtime == "process")
    wait_until(lambda: relay.ticks("main") > 3)

    told = relay.run(
        "session", "shell", "main", "--", "sh", "-c", "echo $PWD $RELAY_WORKSPACE_DIR $RELAY_BRANCH; exit 7"
    )
    place = "/workspace" if relay.runtime == "docker" else str(made["work_dir"])
    assert (told.code, told.out) == (7, f"{place} {place} main\n")
    assert relay.run("session", "shell", "main", "--", "cat", given=b"piped").out == "piped"

    assert relay.json("session", "stop", "main")["state"] == "stopped"
    stopped_at = relay.ticks("main")
    assert relay.json("session", "start", "main")["state"] == "running"
    wait_until(lambda: 0 < relay.ticks("main") < stopped_at or relay.ticks("main") > 0)
    assert relay.json("session", "restart", "main")["state"] == "running"

    failed = relay.fails(1, "session", "create", "demo", "--branch", "side", "--profile", "fail")
    assert (failed["title"], failed["detail"].strip()) == ("The command failed (exit code 3)", "broken")
    assert (relay.session("side")["state"], relay.session("side")["exit_code"]) == ("error", 3)
    assert relay.session("side")["runtime"] == relay.runtime  # the project's, unasked
    logs = relay.run("session", "logs", "side")
    assert (logs.out, logs.err) == ("", "broken\n")
    again = relay.fails(1, "session", "start", "side")
    assert (again["detail"], "relay session retry demo/side" in str(again["hint"])) == ("brokeni", True)

    create = ("session", "create", "demo", "--new-branch")
    done = relay.run(*create, "job", "--profile", "job")
    assert (done.code, done.out) == (0, "demo/job ended, exit code 0.\n")
    assert relay.run("session", "start", "job").out == "demo/job ended, exit code 0.\n"
    job = relay.session("job")
    assert (job["state"], job["exit_code"]) == ("stopped", 0)
    crashed = relay.fails(1, *create, "crash", "--profile", "crash")
    assert crashed["title"] == "The command crashed: SIGSEGV (exit code 139)"
    assert "Invalid memory access" in str(crashed["hint"])

    following = relay.begin("session", "logs", "main", "-f")
    assert following.stdout is not None
    assert following.stdout.readline()
    following.send_signal(signal.SIGKILL)
    following.communicate()
    before = relay.ticks("main")
    wait_until(lambda: relay.ticks("main") > before)
    restarting = relay.begin("session", "restart", "main")
    wait_until(lambda: relay.session("main")["state"] == "starting" or restarting.poll() is not None)
    restarting.send_signal(signal.SIGKILL)
    restarting.communicate()
    assert relay.run("reconcile").code == 0
    assert relay.session("main")["state"] == "running"
    assert relay.json("reconcile", "--dry-run")["steps"] == []

    _kill(relay, relay.session("main"))
    wait_until(lambda: relay.json("reconcile", "--dry-run")["steps"])
    relay.run("reconcile")
    killed = relay.session("main")
    assert killed["state"] == "error"
    assert relay.json("session", "start", "main")["state"] == "running"

    work = Path(str(killed["work_dir"])) / "work"
    work.write_text("kept")
    relay.json("session", "remove", "main", "--force")
    assert not Path(str(killed["work_dir"])).exists()
    if relay.runtime == "process":
        assert not (relay.data / "processes" / str(made["id"])).exists()
    assert relay.json("session", "restore", "main")["state"] == "running"
    assert work.read_text() == "kept"
    relay.json("session", "remove", "side", "--force")
    assert relay.json("purge", "--older-than", "0")["left"] == []
    assert list((relay.data / "trash").iterdir()) == []


def test_without_an_engine_a_project_of_containers_gets_no_process_unasked(tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path / "relay", {"DOCKER_HOST": "unix:///nonexistent"})
    relay.root.mkdir()
    source = make_repository(tmp_path / "demo", branches=("main", "side"))
    assert relay.run("project", "add", source, "--runtime", "docker").code == 5
    try:
        error = relay.fails(4, "session", "create", "demo", "--branch", "side", "--runtime", "auto")
        assert "the project's other session is a container" in error["title"]
        assert "--runtime process" in error["hint"]
        if shutil.which("bwrap") is None or not sandbox.probe(tmp_path).works:
            missing("no bubblewrap")
        made = relay.json("session", "create", "demo", "--branch", "side", "--runtime", "process")
        assert (made["runtime"], made["state"]) == ("process", "running")
        states = {row["name"]: row["state"] for row in relay.run("session", "list", "--json").rows}
        assert states == {"main": "error", "side": "running"}
        done = relay.run("project", "add", source, "--name", "other")
        assert done.code == 0
        assert "it runs as a process, in a sandbox: no engine answers" in done.err
    finally:
        for name in ("demo", "other"):
            relay.run("project", "remove", name, "--yes")
