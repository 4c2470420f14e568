"""Port for the runtimes of sessions: container engine and processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from relay_tui.domain.log_batch import LogBatch
from relay_tui.domain.models import Identity

if TYPE_CHECKING:
    from relay_tui.ports.task import TaskContext


class LineStream(Protocol):
    """Lines of a log. Iterating blocks until there are more, and ends with the stream; close() ends it at once.

    A batch can be empty if only a partial line arrived.
    """

    def __iter__(self) -> Iterator[LogBatch]: ...

    def partial_lines(self) -> LogBatch:
        """Return the partial lines, at most one for each stream. Each is delivered again when it is complete."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Specification of a container. Hardened unless a profile relaxes it."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    """Replaces the image's entrypoint and command; () keeps the container alive and idle."""
    tty: bool = False
    """Whether the command gets a terminal (agents want one; its output then is one stream)."""
    workspace: Path
    """The clone on the host, mounted read-write at /workspace, which is the working directory."""
    user: str = "host"
    """'host': the uid:gid relay runs as; 'image': the image's own; else a name, uid or uid:gid."""
    identity: Identity = field(default_factory=Identity)
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cap_drop: tuple[str, ...] = ("ALL",)
    cap_add: tuple[str, ...] = ()
    no_new_privileges: bool = True
    pids_limit: int = 4096
    cpus: float | None = None
    """Limit of CPUs; None: all of them."""
    memory: int | None = None
    """Limit of memory in bytes; None: no limit."""
    network: str = "bridge"
    """The engine's network name; 'none' disables the network."""
    runtime: str = "docker"
    """Runtime: 'docker' or 'process'."""
    isolated: bool = True
    """Whether a process runs in a sandbox; a container always does."""
    readable: tuple[str, ...] = ()
    """Paths that a process may read although the sandbox hides their directories; `~` is the user's home."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """State of a container. `status` is the engine's term: created, running, paused, exited, dead."""

    container_id: str
    session_id: str
    project_id: str
    status: str
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    """The engine's message if the start failed, else ''."""
    started_at: str = ""
    """Start of the current or last run: no log line of the run is older; '' if unknown."""
    finished_at: str = ""
    """End of the last run, RFC 3339; '' while running, or if unknown."""
    signal: str = ""
    """The signal that ended the container, like 'SIGKILL'; '' if none or unknown."""
    isolated: bool = True
    """Whether this is a container, or a process in a sandbox."""
    lost: bool = False
    """Whether the end is unknown: the process was killed together with its supervisor, or the machine crashed."""
    left: int = 0
    """Programs of a lost process without a sandbox that still run without a supervisor."""
    circumstance: str = ""
    """A sentence about the possible cause of a kill; '' if there is none."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Isolation of processes on this machine. `words`: the method, or the reason; `hint`: the fix."""

    works: bool
    words: str
    hint: str = ""
    agreed: bool = False
    """Whether a person agreed to run sessions of this data directory without isolation."""
    gap: str = ""
    """Parts of the machine that a session can still access; '' if there are none that could be hidden."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """End of one run of a container."""

    at: str
    """Time, RFC 3339."""
    exit_code: int | None = None
    """None if unknown."""
    began: str = ""
    """Start of the run; '' if it is before the requested time."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a container's output. `stream` is 'stdout' or 'stderr' (a TTY has only stdout)."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Exit code and output of a command in a container: of each stream, the last 256 KiB."""

    code: int
    """Exit code as in a shell: 127 if there is no such program."""
    out: bytes
    err: bytes


class LogStream(Protocol):
    """A container's output. Iterating blocks until there is more, and ends with the stream; close() ends it at once."""

    def __iter__(self) -> Iterator[LogChunk]: ...

    def close(self) -> None: ...


class EventStream(Protocol):
    """Session ids whose container changed. Iterating blocks; ends when closed; raises EngineUnreachableError."""

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class Runtime(Protocol):
    """Runtime of sessions. Every method raises EngineError or EngineUnreachableError.

    Ids that no longer exist raise NotFoundError, but for remove(), which then has nothing to do.
    """

    def ping(self) -> str:
        """Answer the engine's name, version and address in a few words."""
        ...

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Pull the image if it is missing, create the container, answer its id. Does not start it.

        A container that already carries the spec's labels for the same session is removed first.
        """
        ...

    def start(self, container_id: str) -> None:
        """Start it, or let it go on where it was paused; fine if it runs already."""
        ...

    def stop(self, container_id: str) -> None:
        """Ask it to end, then make it; fine if it is not running."""
        ...

    def remove(self, container_id: str) -> None:
        """Remove the container, even if it is running. Does nothing if it does not exist."""
        ...

    def inspect(self, container_id: str) -> ContainerState:
        """Return the container's current state. Raises NotFoundError if it does not exist."""
        ...

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """Return the known runs that ended after `since` (RFC 3339), the oldest first."""
        ...

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """Wait until the container ends, at most `seconds`; return its state."""
        ...

    def list_containers(self) -> list[ContainerState]:
        """Return every container with this data directory's label."""
        ...

    def events(self) -> EventStream:
        """Start listening for changes of this data directory's containers. Returns after the connection is made."""
        ...

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Read the output: the last `tail` lines (None: all) since `since` (RFC 3339), then new output if `follow`."""
        ...

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Read the output as lines with times: of the last `tail` lines those from `since` to `until`, inclusive."""
        ...

    def stats(self, container_id: str) -> StatsStream:
        """Start reading the resource usage. The stream ends when the container stops."""
        ...

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete the contents of a directory with other users' files, in a temporary container.

        The container has no network, a read-only root, only `path` mounted, and only the capability to override file
        permissions.
        """
        ...

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Change the owner of a directory that a session gave away back to the user, in a temporary container.

        Changes only the directory itself. The container has only the capability to change owners.
        """
        ...

    def attach(self, container_id: str) -> None:
        """Attach the caller's terminal to the main process until it ends or the user presses ctrl+q."""
        ...

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Run `command` with the caller's stdin, stdout, stderr (() is a login shell); return the exit code.

        The command gets a terminal if the caller's stdin and stdout are terminals.
        """
        ...

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run `command` without a terminal and return its output; `given` is a file on the host for its stdin.

        Raises ConflictError if the container is not running, CancelledError if cancelled (the command may continue).
        """
        ...


class ProcessControl(Runtime, Protocol):
    """The runtime of processes, which may have no sandbox."""

    def isolation(self) -> Isolation:
        """Return whether and how processes are isolated on this machine."""
        ...

    def agree(self) -> None:
        """Store the consent to run processes without a sandbox."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One reading of the resource usage. Unknown values are None, such as rates before the second reading."""

    at: float
    """Time of the reading: seconds since 1970."""
    cpu: float | None = None
    """CPUs in use: 0.5 is half of one."""
    cpus: float | None = None
    """CPUs available: the limit, or all CPUs of the machine."""
    memory: int | None = None
    """Bytes in use, without the page cache, which the kernel can free at once."""
    memory_limit: int | None = None
    """Bytes available: the limit, or all memory of the machine."""
    pids: int | None = None
    pids_limit: int | None = None
    received: float | None = None
    """Bytes a second."""
    sent: float | None = None


class StatsStream(Protocol):
    """Readings, about one a second. Iterating blocks, and ends with the container; close() ends it at once."""

    def __iter__(self) -> Iterator[Stats]: ...

    def close(self) -> None: ...
