"""Runtime port for processes of this machine, sandboxed if bubblewrap works."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relay_tui.adapters.filesystem import atomic
from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.adapters.linux import procfs
from relay_tui.adapters.linux.oom import kill_reason
from relay_tui.adapters.process import attach, control_client, environment, hidden_paths, sandbox
from relay_tui.adapters.process.change_notifier import notify
from relay_tui.adapters.process.control_client import session_dir_of
from relay_tui.adapters.process.hidden_paths import HiddenPaths
from relay_tui.adapters.process.log_lines import ProcessLineReader, Timestamper
from relay_tui.adapters.process.session_dir import PREFIX, SessionDir, read, runs_since, write
from relay_tui.adapters.process.streams import ProcessEvents, ProcessLines, ProcessLog, directories
from relay_tui.adapters.runtime_common.log_lines import engine_time
from relay_tui.domain.errors import ConflictError, EngineError, NotFoundError
from relay_tui.domain.models import git_config
from relay_tui.paths import DataDir
from relay_tui.ports import (
    ContainerSpec,
    ContainerState,
    EventStream,
    ExecResult,
    Isolation,
    LineStream,
    LogStream,
    RunEnd,
    StatsStream,
)
from relay_tui.ports.task import TaskContext
from relay_tui.sandbox_policy import expand_home, exposes_hidden

GRACE = 10.0
"""Seconds between asking a command to end and making it."""
_OVERDUE = 5.0
_START_SECONDS = 60.0
"""More than a supervisor waits for its sandbox and its command."""
_NOT_STARTED = "The command did not start"


class ProcessRuntime:
    """Run the sessions of one data directory as processes. Implements Runtime."""

    def __init__(self, session_dir: DataDir) -> None:
        self._data_dir = session_dir
        self._root = session_dir.processes
        self._files = DataFiles(session_dir)
        self._probing = threading.Lock()
        self._sandbox: sandbox.Sandbox | None = None

    def ping(self) -> str:
        """Return 'processes in bubblewrap 0.8.0', or 'processes, not isolated'."""
        return f"processes in {self.sandbox.words}" if self.sandbox.works else "processes, not isolated"

    def isolation(self) -> Isolation:
        """Return whether bubblewrap works here, and if not, whether the user consented to sessions without it."""
        found = self.sandbox
        return Isolation(found.works, found.words, found.hint, self._data_dir.not_isolated.exists(), found.gap)

    def agree(self) -> None:
        """Store the consent to run sessions of this data directory without a sandbox."""
        try:
            self._data_dir.not_isolated.touch(mode=0o600)
        except OSError as error:
            raise atomic.filesystem_error(error, "Cannot save your consent", self._data_dir.not_isolated) from error

    @property
    def sandbox(self) -> sandbox.Sandbox:
        """Abilities of bubblewrap on this machine. Probed once for each relay."""
        with self._probing:
            if self._sandbox is None:
                self._sandbox = sandbox.probe(self._data_dir.root)
            return self._sandbox

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Write the specification to disk and return the id, without a start. Delete an earlier log and home."""
        task.report("Preparing")
        session_id = spec.labels["relay.session"]
        process_id = PREFIX + session_id
        self.remove(process_id)
        session_dir = SessionDir(self._root / session_id)
        try:
            for directory in (self._root, session_dir.root, session_dir.log, session_dir.home):
                directory.mkdir(mode=0o700, exist_ok=True)
            (session_dir.home / ".gitconfig").write_text(git_config(spec.identity, ""))
            write(session_dir.spec, self._order(spec, session_dir))
        except OSError as error:
            raise atomic.filesystem_error(error, "Cannot prepare the process", session_dir.root) from error
        notify(self._root, session_id)
        return process_id

    def _order(self, spec: ContainerSpec, session_dir: SessionDir) -> dict[str, Any]:
        return {
            "session_id": spec.labels["relay.session"],
            "project_id": spec.labels["relay.project"],
            "name": spec.name,
            "argv": list(spec.command),
            "tty": spec.tty and bool(spec.command),
            "env": environment.environment(session_dir.home, spec.env),
            "cwd": str(spec.workspace.resolve()),
            "isolated": spec.isolated,
            "network": spec.network != "none",
            "readable": list(spec.readable),
        }

    def start(self, process_id: str) -> None:
        """Start the process. Do nothing if it runs already."""
        session_dir, spec = self._known(process_id)
        with _one_at_a_time(session_dir.root):
            state = read(session_dir.state) or {}
            if _runs(state):
                return
            if state.get("token"):
                procfs.kill_marked(str(state["token"]))
            for left in reversed(range(sandbox.TRIES)):
                kept_closed = hidden_paths.find_hidden_paths(
                    self._data_dir.root, (session_dir.root.resolve(), Path(spec["cwd"]))
                )
                order = {"wrap": self._wrap(session_dir, spec, kept_closed), "token": secrets.token_hex(16)}
                reply = self._spawn(session_dir, order)
                if reply.keys() & {"started", "already"}:
                    return
                if not left or not order["wrap"] or kept_closed.is_there():
                    raise self._refusal(session_dir, reply)

    def _wrap(self, session_dir: SessionDir, spec: Mapping[str, Any], kept_closed: HiddenPaths) -> list[str] | None:
        """Return the sandbox's command; None if the session was created without one. Isolation never decreases."""
        if not spec["isolated"]:
            return None
        if not self.sandbox.works:
            hint = self.sandbox.hint or "Create another session, without a sandbox or in a container."
            raise EngineError("Cannot create the sandbox", self.sandbox.words, hint)
        readable = [str(path) for path in spec.get("readable", ())]
        for path in readable:
            if opened := exposes_hidden(path, self._data_dir.root):
                hint = "Remove it from the profile's readable, then {press|run} {retry} to retry."
                raise ConflictError(f"The session would see {opened}", f"The profile's readable has '{path}'.", hint)
        self._files.delete(session_dir.tmp)  # fresh each time, as after a boot: what lay there may be a trap for mounts
        session_dir.tmp.mkdir(mode=0o700)
        real = session_dir.root.resolve()
        return sandbox.wrap(
            self.sandbox,
            kept_closed,
            clone=Path(spec["cwd"]),
            home=real / session_dir.home.name,
            tmp=real / session_dir.tmp.name,
            network=bool(spec["network"]),
            readable=[expand_home(path) for path in readable],
        )

    def _spawn(self, session_dir: SessionDir, order: Mapping[str, Any]) -> dict[str, Any]:
        """Start a supervisor and return its report on the command's start."""
        main = Path(__file__).parent / "supervisor" / "__main__.py"
        command = (sys.executable, "-I", "-S", str(main), str(session_dir.root.resolve()))
        try:
            done = subprocess.run(
                command, input=json.dumps(order).encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd="/", env={"LANG": "C.UTF-8"}, start_new_session=True, check=False, timeout=_START_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise control_client.no_reply_error(f"No reply within {_START_SECONDS:.0f} seconds.") from error
        except OSError as error:
            raise EngineError(_NOT_STARTED, str(error), "Try again.") from error
        reply = json.loads(done.stdout or b"{}")
        return reply if isinstance(reply, dict) else {}

    def _refusal(self, session_dir: SessionDir, reply: Mapping[str, Any]) -> Exception:
        if reply.get("errno"):
            return atomic.filesystem_error(
                OSError(reply["errno"], os.strerror(reply["errno"])), _NOT_STARTED, session_dir.root
            )
        words = str(reply.get("words") or "")
        if not words:
            with suppress(OSError):
                words = session_dir.complaints.read_text(errors="replace")[-2000:].strip()
        hint = "Check the profile's command: this machine has no such program." if reply.get("code") == 127 else ""
        return EngineError(_NOT_STARTED, words, hint or "{Press|Run} {retry} to try again.")

    def stop(self, process_id: str) -> None:
        """Terminate the process, and kill it after ten seconds. Do nothing if it is not running."""
        session_dir, _ = self._known(process_id)
        self._stop(session_dir, GRACE)

    def _stop(self, session_dir: SessionDir, grace: float) -> None:
        state = read(session_dir.state) or {}
        line = control_client.call(session_dir, {"do": "stop", "grace": grace})
        if line is not None:
            with line:
                line.settimeout(grace + _OVERDUE)
                with suppress(OSError):
                    while line.recv(4096):
                        pass
        if _runs(state) and _runs(read(session_dir.state) or {}):
            with suppress(OSError):
                os.kill(state["pid"], signal.SIGKILL)
            deadline = time.monotonic() + _OVERDUE
            while _runs(state) and time.monotonic() < deadline:
                time.sleep(0.01)
        if state.get("token"):
            procfs.terminate_marked(str(state["token"]), grace)

    def remove(self, process_id: str) -> None:
        """Kill the process and delete its log and home. Do nothing if it does not exist."""
        session_dir = session_dir_of(self._root, process_id)
        if not session_dir.root.exists():
            return
        self._stop(session_dir, 0.0)
        if not self._files.delete(session_dir.root):
            raise EngineError(
                "Not all of the process's files can be deleted",
                str(session_dir.root),
                "Delete them by hand. Then {retry} goes on.",
            )
        notify(self._root, session_dir.root.name)

    def inspect(self, process_id: str) -> ContainerState:
        """Return the process's current state."""
        session_dir, spec = self._known(process_id)
        return _observed(session_dir, spec, read(session_dir.state))

    def run_history(self, process_id: str, since: str) -> list[RunEnd]:
        """Return the last few runs that ended after `since`."""
        session_dir, _ = self._known(process_id)
        return runs_since(read(session_dir.state), Timestamper()(_moment(since)).decode())

    def wait(self, process_id: str, seconds: float) -> ContainerState:
        """Wait for the process's end, at most `seconds`; return its state."""
        session_dir, _ = self._known(process_id)
        line = control_client.call(session_dir, {"do": "wait"})
        if line is not None:
            with line:
                line.settimeout(max(seconds, 0.001))
                with suppress(OSError):
                    line.recv(1)
        return self.inspect(process_id)

    def list_containers(self) -> list[ContainerState]:
        """Return every process of this data directory's sessions."""
        found = []
        for directory in directories(self._root):
            session_dir = SessionDir(directory)
            spec = read(session_dir.spec)
            if spec is not None:
                found.append(_observed(session_dir, spec, read(session_dir.state)))
        return found

    def events(self) -> EventStream:
        """Return a connected stream of changes of this data directory's processes."""
        return ProcessEvents(self._root)

    def logs(
        self, process_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Return the last `tail` lines (all if None) since a time (RFC 3339), then new output if `follow`."""
        session_dir, _ = self._known(process_id)
        return ProcessLog(session_dir, follow=follow, tail=tail, since=_moment(since), timestamps=timestamps)

    def log_lines(
        self, process_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Return timed lines of the output: of the last `tail` those from `since` to `until`, both included."""
        session_dir, spec = self._known(process_id)
        lines = ProcessLineReader(tty=bool(spec["tty"]), since=_moment(since), until=_moment(until))
        return ProcessLines(session_dir, lines, follow=follow, tail=tail, since=_moment(since))

    def stats(self, process_id: str) -> StatsStream:
        """Yield the resource usage of all its processes about once a second, until they end."""
        from relay_tui.adapters.process.stats import ProcessStats

        session_dir, _ = self._running(process_id)
        return ProcessStats(int((read(session_dir.state) or {}).get("pid", 0)))

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete a directory. Its files belong to relay's user, so no other rights are needed."""
        del image
        shutil.rmtree(path, ignore_errors=True)

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Do nothing: a process cannot change the owner of files."""

    def attach(self, process_id: str) -> None:
        """Attach the caller's terminal to the main process until it ends or the user presses ctrl+q."""
        session_dir, spec = self._running(process_id)
        if not spec["argv"]:
            raise ConflictError(
                "Cannot attach: the session has no command of its own", "", "{Press|Run} {shell} to open a shell in it."
            )
        attach.attach(session_dir, str(spec["name"]), tty=bool(spec["tty"]))

    def run(self, process_id: str, command: Sequence[str]) -> int:
        """Run `command` with the caller's standard streams (() is a login shell); return the exit code."""
        session_dir, _ = self._running(process_id)
        return attach.run(session_dir, list(command) or environment.login_shell())

    def exec_capture(
        self, process_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run `command` to its end; `given` is a file for its stdin. Cancelling kills the command."""
        session_dir, _ = self._running(process_id)
        return attach.exec_capture(session_dir, command, task, given)

    def _known(self, process_id: str) -> tuple[SessionDir, dict[str, Any]]:
        session_dir = session_dir_of(self._root, process_id)
        spec = read(session_dir.spec)
        if spec is None:
            raise NotFoundError("The process is gone", process_id)
        return session_dir, spec

    def _running(self, process_id: str) -> tuple[SessionDir, dict[str, Any]]:
        session_dir, spec = self._known(process_id)
        seen = _observed(session_dir, spec, read(session_dir.state))
        if seen.status != "running":
            raise ConflictError("The session is not running", f"Its process is {seen.status}.", "Start it first.")
        return session_dir, spec


def _moment(stamp: str) -> int:
    return int(engine_time(stamp).replace(".", "")) if stamp else 0


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Hold the directory's lock across processes. The kernel releases it when its holder dies."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _runs(state: Mapping[str, Any]) -> bool:
    """Return whether the supervisor that wrote the state still runs. The kernel may have reused its pid."""
    alive_now = procfs.is_alive(state.get("pid"), state.get("start"), state.get("boot"))
    return state.get("status") == "running" and alive_now


def _observed(session_dir: SessionDir, spec: Mapping[str, Any], state: Mapping[str, Any] | None) -> ContainerState:
    """Return the state. A supervisor that left no exit state was killed, or the machine was shut down."""
    status, code, lost = "created", None, False
    if state is not None:
        status, code = str(state.get("status")), state.get("exit_code")
        if status == "running" and not _runs(state):
            status, code, lost = "exited", None, True
    state = state or {}
    token = str(state.get("token") or "") if lost and state.get("boot") == procfs.boot() else ""
    return ContainerState(
        container_id=PREFIX + session_dir.root.name,
        session_id=str(spec.get("session_id", "")),
        project_id=str(spec.get("project_id", "")),
        status=status,
        exit_code=code if isinstance(code, int) else None,
        error=str(state.get("error") or ""),
        started_at=str(state.get("started_at") or ""),
        finished_at=str(state.get("finished_at") or "") if status == "exited" else "",
        signal=str(state.get("signal") or ""),
        isolated=bool(spec.get("isolated")),
        lost=lost,
        left=len(procfs.find_survivors(token, session_dir.root.resolve())) if token else 0,
        circumstance=kill_reason(state, lost=lost),
    )
