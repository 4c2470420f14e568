"""Processes of sessions as tests want them, run as ourselves or as an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_until

import relay_tui
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.adapters.process.session_dir import PREFIX, SessionDir, read
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerSpec, ContainerState
from relay_tui.ports.task import TaskContext

_USABLE = "import os, sys; sys.exit(sys.version_info < (3, 11) or not os.access(sys.executable, os.X_OK))"
ORDINARY = 61_235  # a user id without an account


@dataclass(frozen=True)
class Bench:
    """A runtime over a data dir of its own, and sessions for it."""

    place: DataDir
    runtime: ProcessRuntime
    isolated: bool

    def made(self, script: str, session_id: str = "s1", *, tty: bool = False, network: str = "bridge") -> str:
        """A process that is created and not started; '' is a session without a command."""
        clone = self.place.session("p1", session_id)
        clone.mkdir(parents=True, exist_ok=True)
        spec = ContainerSpec(
            name=f"relay-{session_id}",
            image="",
            command=("/bin/sh", "-c", script) if script else (),
            tty=tty,
            workspace=clone,
            labels={"relay.session": session_id, "relay.project": "p1"},
            network=network,
            runtime="process",
            isolated=self.isolated,
        )
        return self.runtime.create(spec, TaskContext())

    def run(self, script: str, session_id: str = "s1", *, tty: bool = False, network: str = "bridge") -> str:
        """One that is started too."""
        process_id = self.made(script, session_id, tty=tty, network=network)
        self.runtime.start(process_id)
        return process_id

    def ended(self, process_id: str) -> ContainerState:
        """Return the state of a process after its end."""
        seen = self.runtime.wait(process_id, 20)
        assert seen.status == "exited", seen
        return seen

    def clone(self, session_id: str = "s1") -> Path:
        """A session's clone."""
        return self.place.session("p1", session_id)

    def supervisor(self, process_id: str) -> int:
        """The pid of what keeps it."""
        state = read(SessionDir(self.place.processes / process_id.removeprefix(PREFIX)).state)
        assert state is not None
        return int(state["pid"])

    def output(self, process_id: str, *, tail: int | None = None) -> dict[str, bytes]:
        """Return the output so far, by stream."""
        said = {"stdout": b"", "stderr": b""}
        for chunk in self.runtime.logs(process_id, follow=False, tail=tail):
            said[chunk.stream] += chunk.data
        return said

    def says(self, process_id: str, words: bytes) -> None:
        """Wait until the process has printed the words."""
        wait_until(lambda: words in self.output(process_id)["stdout"], 20, words.decode())

    def clear(self) -> None:
        """Nothing of it stays."""
        for seen in self.runtime.list_containers():
            self.runtime.remove(seen.container_id)


def alive(mark: str) -> list[int]:
    """The pids of the processes that run, zombies not counted, whose command line holds `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "cmdline").read_bytes() and int(path.name) != os.getpid():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def python_for_all() -> str:
    """A Python of our version or newer that every user may run; '' if there is none."""
    for candidate in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        command = (*as_ordinary(), candidate, "-I", "-c", _USABLE)
        try:
            if not subprocess.run(command, cwd="/", capture_output=True, check=False).returncode:
                return candidate
        except OSError:
            continue
    return ""


def as_ordinary() -> tuple[str, ...]:
    """Return the command prefix that switches to an ordinary user; empty if the tests already run as one."""
    if os.geteuid():
        return ()
    return ("setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups")


@contextmanager
def ordinary_place() -> Iterator[Path]:
    """A directory that can become the ordinary user's own, with relay's source in it."""
    root = Path(tempfile.mkdtemp(prefix="relay-test-"))  # a test's own directory is closed to others
    try:
        source = Path(relay_tui.__file__).parent
        shutil.copytree(source, root / "source" / "relay_tui", ignore=shutil.ignore_patterns("__pycache__"))
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
