"""The Runtime port over a container engine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relay_tui.adapters.docker import stats, streams
from relay_tui.adapters.docker.attach import TerminalSession
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection import http_stream
from relay_tui.adapters.docker.container_builder import DATA_DIR, IDLE, PROJECT, SESSION, ContainerBuilder
from relay_tui.adapters.docker.exec import exec_capture
from relay_tui.adapters.docker.image_metadata import ImageMetadataCache
from relay_tui.adapters.runtime_common import log_lines
from relay_tui.domain.errors import ConflictError, EngineError, NotFoundError
from relay_tui.ports import (
    ContainerSpec,
    ContainerState,
    EventStream,
    ExecResult,
    LineStream,
    LogStream,
    RunEnd,
    StatsStream,
)
from relay_tui.ports.task import TaskContext

_STOP_SECONDS = 10
_DELETING_SECONDS = 600
_EXITED = re.compile(r"Exited \((\d+)\)")
_NEVER = "0001-01-01T00:00:00Z"
_NOT_STARTED = "The container did not start"
_START_HINTS = (
    ("bind source path does not exist", "A remote engine cannot see this machine's files; use one on this machine."),
    ("executable file not found", "Check the profile's command: the image has no such program."),
    ("no such file or directory", "Check the profile's command: the image has no such program."),
    ("permission denied", "Check that the profile's user may run its command."),
    ("address already in use", "Something else on the machine uses the port."),
    ("no space left", "Make room on the engine's disk (docker system prune)."),
)


class DockerRuntime:
    """Runs the sessions of one data dir in containers; fulfils Runtime. Contacts no engine until it is asked to."""

    def __init__(self, data_dir: Path, cache: Path) -> None:
        self._data_dir = data_dir
        self._engine = EngineClient()
        self._creator = ContainerBuilder(self._engine, data_dir, ImageMetadataCache(cache))
        self._terminal = TerminalSession(self._engine)
        self._ttys: dict[str, bool] = {}  # by container: it never changes

    def ping(self) -> str:
        """Answer 'Docker 20.10.24 at unix:///var/run/docker.sock'."""
        greeting = self._engine.greet()
        return f"{greeting.product} {greeting.version}".strip() + f" at {self._engine.address.url}"

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Pull a missing image, create the container, give its user a name, a home and a git identity."""
        try:
            return self._creator.create(spec, task)
        except EngineError as error:
            raise _with_hint(error) from error

    def start(self, container_id: str) -> None:
        """Start it, or let it go on where it was paused; fine if it runs already."""
        try:
            with self._engine.client(_NOT_STARTED) as client:
                client.start(container_id)
        except EngineError as error:
            if "unpause" not in error.detail:
                raise _with_hint(error) from error
            with self._engine.client(_NOT_STARTED) as client:
                client.unpause(container_id)

    def stop(self, container_id: str) -> None:
        """Ask it to end, kill it after ten seconds; fine if it is not running."""
        with self._engine.client("The container cannot be stopped") as client:
            client.stop(container_id, timeout=_STOP_SECONDS)

    def remove(self, container_id: str) -> None:
        """Remove it and its anonymous volumes, running or not; fine if it is gone."""
        self._creator.remove(container_id)

    def inspect(self, container_id: str) -> ContainerState:
        """Return the container's current state."""
        return _observed(self._inspected(container_id, "The container cannot be inspected"))

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """Return the runs that ended after `since`. The engine keeps the last few hundred events of all containers."""
        return streams.run_history(self._engine, container_id, since)

    def _inspected(self, container_id: str, doing: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._engine.get_json(doing, f"/containers/{quote(container_id, safe='')}/json")
        return found

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """Wait for the container's end, at most `seconds`; return its state."""
        path = f"/containers/{container_id}/wait"
        with self._engine.stream("The container cannot be waited for", "POST", path) as answer:
            answer.socket.settimeout(max(seconds, 0.001))
            with self._engine.translated("The container cannot be waited for"), suppress(TimeoutError):
                answer.recv()
        return self.inspect(container_id)

    def list_containers(self) -> list[ContainerState]:
        """Every container that carries this data dir's label. `started_at` is known only of some that do not run."""
        params = {"all": "1", "filters": json.dumps({"label": [f"{DATA_DIR}={self._data_dir}"]})}
        listed = self._engine.get_json("The containers cannot be listed", "/containers/json", params)
        return [self._listed(found) for found in listed if SESSION in (found.get("Labels") or {})]

    def _listed(self, found: Mapping[str, Any]) -> ContainerState:
        """From the list's entry when that says it all: 137 may be the kernel's doing, 'created' a failed start."""
        status, labels = str(found["State"]), found["Labels"]
        exited = _EXITED.match(str(found.get("Status", "")))
        code = int(exited[1]) if exited else None
        if status in ("created", "dead") or (status == "exited" and code in (None, 137)):
            with suppress(NotFoundError):
                return self.inspect(str(found["Id"]))
        return ContainerState(found["Id"], labels[SESSION], labels.get(PROJECT, ""), status, code)

    def events(self) -> EventStream:
        """Begin to listen for changes of this data dir's containers. Connected when it returns."""
        filters = {"type": ["container"], "label": [f"{DATA_DIR}={self._data_dir}"]}
        params = {"filters": json.dumps(filters), "since": log_lines.a_moment_ago()}
        stream = self._engine.stream("The engine's events cannot be read", "GET", "/events", params=params)
        return streams.EngineEvents(self._engine, stream)

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Its output: the last `tail` lines (all if None), `since` a time (RFC 3339), then what comes if `follow`."""
        wanted = {"follow": str(int(follow)), "timestamps": str(int(timestamps))}
        stream, tty = self._log(container_id, wanted, tail, since)
        return streams.EngineLog(self._engine, stream, tty=tty)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Its output as lines with their times: of the last `tail` those from `since` to `until`, both included."""
        wanted = {"follow": str(int(follow)), "timestamps": "1"}
        if until:
            wanted["until"] = log_lines.engine_time(until)
        stream, tty = self._log(container_id, wanted, tail, since)
        return streams.EngineLines(self._engine, stream, tty=tty)

    def _log(
        self, container_id: str, wanted: Mapping[str, str], tail: int | None, since: str
    ) -> tuple[http_stream.HttpStream, bool]:
        params = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail), **wanted}
        if since:
            params["since"] = log_lines.engine_time(since)
        title = "The log cannot be read"
        tty = self._ttys.get(container_id)
        if tty is None:
            tty = self._ttys[container_id] = bool(self._inspected(container_id, title)["Config"]["Tty"])
        return self._engine.stream(title, "GET", f"/containers/{container_id}/logs", params=params), tty

    def stats(self, container_id: str) -> StatsStream:
        """Begin to read what it takes; the engine sends a reading a second."""
        title = "The readings of the container cannot be had"
        found = self._inspected(container_id, title)
        stream = self._engine.stream(title, "GET", f"/containers/{found['Id']}/stats", params={"stream": "1"})
        return stats.EngineStats(self._engine, stream, stats.cpus_allowed(found.get("HostConfig") or {}))

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete what is in a directory of other users, from a throw-away container that may do only that."""
        title = "The files of other users cannot be deleted"
        command = ("/bin/rm", "-rf", "--", "/trash")  # all in it: itself, a mount, stays
        self._throw_away(title, path, image, command, "DAC_OVERRIDE")

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Make ourselves the owner of a directory, from a throw-away container that may do only that."""
        command = ("/bin/chown", f"{os.geteuid()}:{os.getegid()}", "/trash")
        self._throw_away("The clone cannot be taken back from another user", path, image, command, "CHOWN")

    def _throw_away(self, title: str, path: Path, image: str, command: Sequence[str], capability: str) -> None:
        """Run a command of the image's as root, with nothing mounted but `path`, at /trash, and one capability."""
        config = {
            "Image": image,
            "Entrypoint": list(command),
            "User": "0:0",
            "NetworkDisabled": True,
            "HostConfig": {
                "Mounts": [{"Type": "bind", "Source": str(path), "Target": "/trash"}],
                "CapDrop": ["ALL"],
                "CapAdd": [capability],
                "SecurityOpt": ["no-new-privileges"],
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
            },
        }
        with self._engine.client(title) as client:
            container_id = client.create_container_from_config(config)["Id"]
        try:
            self.start(container_id)
            self.wait(container_id, _DELETING_SECONDS)
        finally:
            self.remove(container_id)

    def attach(self, container_id: str) -> None:
        """Give the caller's terminal to its main process until that ends or the user presses ctrl-q."""
        container = self._running(container_id)
        if (container["Config"].get("Labels") or {}).get(IDLE):
            raise ConflictError("There is nothing to attach to: the session idles", "", "{shell} opens a shell in it.")
        self._terminal.attach(container)

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Run `command` in it with the caller's stdin, stdout, stderr (() is a login shell); answer the exit code."""
        return self._terminal.run(self._running(container_id), command)

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run `command` in it to its end, without a terminal; `given` is a file of this host for its stdin."""
        return exec_capture(self._engine, self._running(container_id), command, task, given)

    def _running(self, container_id: str) -> Mapping[str, Any]:
        found = self._inspected(container_id, "The container cannot be inspected")
        status = found["State"]["Status"]
        if status != "running":
            hint = "Start it first." if status != "paused" else "Unpause it first: docker unpause."
            raise ConflictError("The session is not running", f"Its container is {status}.", hint)
        return found


def _observed(found: Mapping[str, Any]) -> ContainerState:
    state, labels = found["State"], found["Config"].get("Labels") or {}
    status, words = str(state["Status"]), str(state.get("Error") or "")
    ended = status in ("exited", "dead") or bool(words)
    started, finished = str(state.get("StartedAt") or ""), str(state.get("FinishedAt") or "")
    return ContainerState(
        container_id=str(found["Id"]),
        session_id=labels.get(SESSION, ""),
        project_id=labels.get(PROJECT, ""),
        status=status,
        exit_code=int(state["ExitCode"]) if ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=words,
        started_at="" if started == _NEVER else log_lines.just_before(started),
        finished_at=finished if ended and finished != _NEVER else "",
    )


def _with_hint(error: EngineError) -> EngineError:
    """The same error with what to do about it, where the engine's words tell."""
    if not error.hint:
        error.hint = next((hint for words, hint in _START_HINTS if words in error.detail.lower()), "")
    return error
