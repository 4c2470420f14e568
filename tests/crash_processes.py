"""The crash harness's other runtime: real processes, which outlive the relay that is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from waiting import wait_until

from relay_tui.adapters.linux import procfs
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.adapters.process.sandbox import Sandbox
from relay_tui.adapters.process.session_dir import SessionDir
from relay_tui.config import Config, Profile
from relay_tui.domain.models import Records, SessionState
from relay_tui.paths import DataDir
from relay_tui.services.sessions import builder

_MARK = "86399"
COMMAND = ("sleep", _MARK)
_SUPERVISOR = b"adapters/process/supervisor/__main__.py"


def configured(path: Path) -> Config:
    """Return a configuration for process sessions with a command that keeps running."""
    profile = Profile(name="default", command=COMMAND, tty=False)
    return Config(path=path, runtime="process", profiles={"default": profile})


class Processes:
    """A data dir's processes, as the harness looks at containers."""

    def __init__(self, place: DataDir) -> None:
        self._place = place
        self.runtime = ProcessRuntime(place)
        self.runtime._sandbox = Sandbox(False, "not wanted here")
        place.not_isolated.touch()
        builder.STARTUP_SECONDS = 0.0  # the command is known to go on

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the processes by id."""
        return {
            seen.container_id: {"session": seen.session_id, "status": seen.status, "image": ""}
            for seen in self.runtime.list_containers()
        }

    def put(self, container_id: str, **changes: object) -> None:
        """Have it ended, with that code."""
        assert changes.keys() == {"status", "exit_code"}
        self.runtime.stop(container_id)
        state = SessionDir(self._place.processes / container_id.partition("-")[2]).state
        state.write_text(json.dumps({**json.loads(state.read_text()), "signal": "", **changes}))

    def remove(self, container_id: str) -> None:
        """Remove it."""
        self.runtime.remove(container_id)

    def revive(self, records: Records) -> None:
        """Start what is on record as running: a world is laid from a copy, in which nothing runs."""
        for session in records.live_sessions():
            if session.state is SessionState.RUNNING:
                self.runtime.start(session.container_id)

    def wrong(self, records: Records) -> Iterator[str]:
        """Yield the commands and supervisors that run twice, without a session, or not although they should."""
        wanted = sorted(s.id for s in records.live_sessions() if s.state is SessionState.RUNNING)
        for what, found in (("commands", self._running), ("supervisors", self._kept)):
            with suppress(AssertionError):
                wait_until(lambda found=found: found() == wanted, 3)  # type: ignore[misc]  # it ends after reporting so
            if found() != wanted:
                yield f"{what} run for {found()}, where {wanted} are to run"

    def _running(self) -> list[str]:
        """The sessions whose command runs, as often as it does."""
        return sorted(Path(f"/proc/{pid}/cwd").readlink().name for pid in _commands(self._place.root))

    def _kept(self) -> list[str]:
        """The sessions that a supervisor keeps."""
        return sorted(Path(_words(pid)[-1]).name for pid in _keepers(self._place.root) if not _is_launcher(pid))


def end_all(root: Path) -> None:
    """Kill everything that runs for the sessions of a data dir."""
    while left := [*_keepers(root), *_commands(root)]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await_orphans()


def await_orphans() -> None:
    """Reap the orphans that came to us, and wait for those that are about to end; what keeps a session is not."""
    while ours := [pid for pid in _children() if not _is_keeper(pid)]:
        for pid in ours:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _keepers(root: Path) -> list[int]:
    """The supervisors of a data dir's sessions, and their launchers, which are forks of them."""
    return [pid for pid in _pids() if _is_keeper(pid) and Path(_words(pid)[-1]).is_relative_to(root)]


def _is_launcher(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True  # it ended: neither
    return _is_keeper(int(stat[stat.rindex(b")") + 2 :].split()[1]))


def _is_keeper(pid: int) -> bool:
    return any(word.encode().endswith(_SUPERVISOR) for word in _words(pid)[:-1]) and procfs.start_time(pid) is not None


def _commands(root: Path) -> list[int]:
    found = []
    for pid in _pids():
        with suppress(OSError):
            if _words(pid) == ["sleep", _MARK] and Path(f"/proc/{pid}/cwd").readlink().is_relative_to(root):
                found.append(pid)
    return found


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return [""]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
