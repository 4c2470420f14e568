"""Runtime port, implemented with a container engine."""

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
_ZERO_TIME = "0001-01-01T00:00:00Z"
_NOT_STARTED = "The container did not start"
_START_HINTS = (
    (
        "bind source path does not exist",
        "A remote engine cannot access this machine's files. Use an engine on this machine.",
    ),
    ("executable file not found", "Check the profile's command: the image does not contain this program."),
    ("no such file or directory", "Check the profile's command: the image does not contain this program."),
    ("permission denied", "Check that the profile's user may run its command."),
    ("address already in use", "Stop the other program on this machine that uses the port."),
    ("no space left", "Free space on the engine's disk (docker system prune)."),
)


class DockerRuntime:
    """Runtime for the sessions of one data directory. The engine is contacted only when a method needs it."""

    def __init__(self, data_dir: Path, cache: Path) -> None:
        self._data_dir = data_dir
        self._engine = EngineClient()
        self._builder = ContainerBuilder(self._engine, data_dir, ImageMetadataCache(cache))
        self._terminal = TerminalSession(self._engine)
        self._ttys: dict[str, bool] = {}  # by container id; the setting of a container never changes

    def ping(self) -> str:
        """Return the engine's version and address, like 'Docker 20.10.24 at unix:///var/run/docker.sock'."""
        greeting = self._engine.greet()
        return f"{greeting.product} {greeting.version}".strip() + f" at {self._engine.address.url}"

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Pull a missing image and create the container. Its user gets a name, a home and a git identity."""
        try:
            return self._builder.create(spec, task)
        except EngineError as error:
            raise _with_hint(error) from error

    def start(self, container_id: str) -> None:
        """Start the container, or unpause it. Do nothing if it is running."""
        try:
            with self._engine.client(_NOT_STARTED) as client:
                client.start(container_id)
        except EngineError as error:
            if "unpause" not in error.detail:
                raise _with_hint(error) from error
            with self._engine.client(_NOT_STARTED) as client:
                client.unpause(container_id)

    def stop(self, container_id: str) -> None:
        """Stop the container; kill it after ten seconds. Do nothing if it is not running."""
        with self._engine.client("Cannot stop the container") as client:
            client.stop(container_id, timeout=_STOP_SECONDS)

    def remove(self, container_id: str) -> None:
        """Remove the container, running or not, and its anonymous volumes. Do nothing if it does not exist."""
        self._builder.remove(container_id)

    def inspect(self, container_id: str) -> ContainerState:
        """Return the container's current state."""
        return _to_state(self._inspect(container_id, "Cannot inspect the container"))

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """Return the runs that ended after `since`. The engine keeps the last few hundred events of all containers."""
        return streams.run_history(self._engine, container_id, since)

    def _inspect(self, container_id: str, title: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._engine.get_json(title, f"/containers/{quote(container_id, safe='')}/json")
        return found

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """Wait up to `seconds` until the container has ended; return its state."""
        path = f"/containers/{container_id}/wait"
        with self._engine.stream("Cannot wait for the container", "POST", path) as response:
            response.socket.settimeout(max(seconds, 0.001))
            with self._engine.translated("Cannot wait for the container"), suppress(TimeoutError):
                response.recv()
        return self.inspect(container_id)

    def list_containers(self) -> list[ContainerState]:
        """Return all containers with this data directory's label.

        `started_at` is set only for some of the stopped containers.
        """
        params = {"all": "1", "filters": json.dumps({"label": [f"{DATA_DIR}={self._data_dir}"]})}
        listed = self._engine.get_json("Cannot list the containers", "/containers/json", params)
        return [self._from_list(found) for found in listed if SESSION in (found.get("Labels") or {})]

    def _from_list(self, entry: Mapping[str, Any]) -> ContainerState:
        """Return the state from a list entry, or from an inspection if the entry is ambiguous.

        Exit code 137 can be an OOM kill, and a container that is 'created' can have failed to start.
        """
        status, labels = str(entry["State"]), entry["Labels"]
        exited = _EXITED.match(str(entry.get("Status", "")))
        code = int(exited[1]) if exited else None
        if status in ("created", "dead") or (status == "exited" and code in (None, 137)):
            with suppress(NotFoundError):
                return self.inspect(str(entry["Id"]))
        return ContainerState(entry["Id"], labels[SESSION], labels.get(PROJECT, ""), status, code)

    def events(self) -> EventStream:
        """Listen for changes of this data directory's containers. The stream is connected when the method returns."""
        filters = {"type": ["container"], "label": [f"{DATA_DIR}={self._data_dir}"]}
        params = {"filters": json.dumps(filters), "since": log_lines.a_moment_ago()}
        stream = self._engine.stream("Cannot read the engine's events", "GET", "/events", params=params)
        return streams.EngineEvents(self._engine, stream)

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Return the container's output: the last `tail` lines (None: all), only those since the RFC 3339 time `since`.

        With `follow` the stream continues with new output.
        """
        options = {"follow": str(int(follow)), "timestamps": str(int(timestamps))}
        stream, tty = self._log(container_id, options, tail, since)
        return streams.EngineLog(self._engine, stream, tty=tty)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Return the output as lines with times. Of the last `tail` lines, those from `since` to `until`, inclusive."""
        options = {"follow": str(int(follow)), "timestamps": "1"}
        if until:
            options["until"] = log_lines.engine_time(until)
        stream, tty = self._log(container_id, options, tail, since)
        return streams.EngineLines(self._engine, stream, tty=tty)

    def _log(
        self, container_id: str, options: Mapping[str, str], tail: int | None, since: str
    ) -> tuple[http_stream.HttpStream, bool]:
        params = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail), **options}
        if since:
            params["since"] = log_lines.engine_time(since)
        title = "Cannot read the log"
        tty = self._ttys.get(container_id)
        if tty is None:
            tty = self._ttys[container_id] = bool(self._inspect(container_id, title)["Config"]["Tty"])
        return self._engine.stream(title, "GET", f"/containers/{container_id}/logs", params=params), tty

    def stats(self, container_id: str) -> StatsStream:
        """Return a stream of the container's resource usage, with one reading a second."""
        title = "Cannot read the container's resource usage"
        found = self._inspect(container_id, title)
        stream = self._engine.stream(title, "GET", f"/containers/{found['Id']}/stats", params={"stream": "1"})
        return stats.EngineStats(self._engine, stream, stats.cpus_allowed(found.get("HostConfig") or {}))

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete the contents of a directory with files of other users, in a container with only that capability."""
        title = "Cannot delete the files of other users"
        command = ("/bin/rm", "-rf", "--", "/trash")  # deletes only the contents: /trash itself is a mount point
        self._run_temporary(title, path, image, command, "DAC_OVERRIDE")

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Make relay's user the owner of a directory, in a temporary container with only that capability."""
        command = ("/bin/chown", f"{os.geteuid()}:{os.getegid()}", "/trash")
        self._run_temporary("Cannot change the owner of the clone", path, image, command, "CHOWN")

    def _run_temporary(self, title: str, path: Path, image: str, command: Sequence[str], capability: str) -> None:
        """Run a command of the image as root, with one capability. Only `path` is mounted, at /trash."""
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
        """Attach the caller's terminal to the main process, until it ends or the user presses ctrl+q."""
        container = self._running(container_id)
        if (container["Config"].get("Labels") or {}).get(IDLE):
            raise ConflictError(
                "Cannot attach: the session has no command of its own", "", "{Press|Run} {shell} to open a shell in it."
            )
        self._terminal.attach(container)

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Run `command` with the caller's stdin, stdout and stderr; () is a login shell. Return its exit code."""
        return self._terminal.run(self._running(container_id), command)

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run `command` without a terminal, and wait for its end. `given` is a host file for its stdin."""
        return exec_capture(self._engine, self._running(container_id), command, task, given)

    def _running(self, container_id: str) -> Mapping[str, Any]:
        found = self._inspect(container_id, "Cannot inspect the container")
        status = found["State"]["Status"]
        if status != "running":
            hint = "Start it first." if status != "paused" else "Unpause it first: docker unpause."
            raise ConflictError("The session is not running", f"Its container is {status}.", hint)
        return found


def _to_state(found: Mapping[str, Any]) -> ContainerState:
    state, labels = found["State"], found["Config"].get("Labels") or {}
    status, error = str(state["Status"]), str(state.get("Error") or "")
    ended = status in ("exited", "dead") or bool(error)
    started, finished = str(state.get("StartedAt") or ""), str(state.get("FinishedAt") or "")
    return ContainerState(
        container_id=str(found["Id"]),
        session_id=labels.get(SESSION, ""),
        project_id=labels.get(PROJECT, ""),
        status=status,
        exit_code=int(state["ExitCode"]) if ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=error,
        started_at="" if started == _ZERO_TIME else log_lines.just_before(started),
        finished_at=finished if ended and finished != _ZERO_TIME else "",
    )


def _with_hint(error: EngineError) -> EngineError:
    """Add a hint to the error if its detail matches a known cause; return the error."""
    if not error.hint:
        error.hint = next((hint for text, hint in _START_HINTS if text in error.detail.lower()), "")
    return error
