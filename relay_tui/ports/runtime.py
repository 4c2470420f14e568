"""What runs a session."""

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
    """A log's lines. Iterating blocks until there are more, and ends with the stream; close() ends it at once.

    A batch may be empty where no line ended but one was begun.
    """

    def __iter__(self) -> Iterator[LogBatch]: ...

    def begun(self) -> LogBatch:
        """The lines whose ends have not come, as far as they go: one a stream at most. They come once more, whole."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything about a container before it exists. Hardened unless a profile loosened it."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    """What runs, instead of the image's entrypoint and command; () keeps the container alive and idle."""
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
    """CPUs it may use at once; None: all of them."""
    memory: int | None = None
    """Bytes it may use; None: all there is."""
    network: str = "bridge"
    """The engine's network name; 'none' cuts it off."""
    runtime: str = "docker"
    """What is to run it: 'docker' or 'process'."""
    isolated: bool = True
    """Whether a process runs in a sandbox; a container always does."""
    readable: tuple[str, ...] = ()
    """Paths, `~` being our home, that a process may read though its sandbox hides what is around them."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as the engine sees it. `status` is the engine's word: created, running, paused, exited, dead."""

    container_id: str
    session_id: str
    project_id: str
    status: str
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    """The engine's words when it could not start it, else ''."""
    started_at: str = ""
    """No line of its present run, or its last one, is older; '' where it is not known."""
    finished_at: str = ""
    """When its last run ended, RFC 3339; '' while it runs, and where it is not known."""
    signal: str = ""
    """The signal that ended it, like 'SIGKILL', where the runtime knows; else ''."""
    isolated: bool = True
    """Whether it is a container, or a process in a sandbox."""
    lost: bool = False
    """Whether it ended without leaving word how: it was killed together with what kept it, or the machine went down."""
    left: int = 0
    """How many of its programs run all the same, with nobody to keep them: for what is lost and has no sandbox."""
    circumstance: str = ""
    """What else is known of how a kill may have come about, in a sentence; else ''."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether processes can be isolated here. `words` say with what, or why not; `hint` what would mend that."""

    works: bool
    words: str
    hint: str = ""
    agreed: bool = False
    """Whether somebody agreed to run sessions of this data dir without."""
    gap: str = ""
    """What of the machine stays in reach all the same; '' if nothing does that could be closed."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How one run of a container ended."""

    at: str
    """When, RFC 3339."""
    exit_code: int | None = None
    """None where nobody knows."""
    began: str = ""
    """When that run began; '' where that was before what was asked for."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of a container's output, as they came. `stream` is 'stdout' or 'stderr' (a TTY has only stdout)."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command in a container ended, and what it wrote: of each stream, the last 256 KiB."""

    code: int
    """As a shell would have it: 127 when there is no such program."""
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
    """What runs sessions. Every method raises EngineError or EngineUnreachableError.

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
        """Remove it, running or not; fine if it is gone."""
        ...

    def inspect(self, container_id: str) -> ContainerState:
        """How it is now."""
        ...

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """How its runs ended that did later than `since` (RFC 3339), the oldest first, as far as it is remembered."""
        ...

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """How it is once it ended, or after `seconds` at the latest."""
        ...

    def list_containers(self) -> list[ContainerState]:
        """Every container that carries this data dir's label."""
        ...

    def events(self) -> EventStream:
        """Begin to listen for changes of this data dir's containers. Connected when it returns."""
        ...

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> LogStream:
        """Its output: the last `tail` lines (all if None), `since` a time (RFC 3339), then what comes if `follow`."""
        ...

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Its output as lines with their times: of the last `tail` those from `since` to `until`, both included."""
        ...

    def stats(self, container_id: str) -> StatsStream:
        """Begin to read what it takes of the machine; ends when it is not running any more."""
        ...

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete all that is in a directory of other users' files in the data dir, from a throw-away container.

        It has no network, a read-only root, nothing but `path` mounted and no right but to override file permissions.
        """
        ...

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Make a directory of the data dir that a session gave away ours again, from a throw-away container.

        Its owner alone: nothing below it is touched. The container has no right but to change owners.
        """
        ...

    def attach(self, container_id: str) -> None:
        """Give the caller's terminal to its main process until that ends or the user presses ctrl-q."""
        ...

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Run `command` in it with the caller's stdin, stdout, stderr (() is a login shell); answer the exit code.

        A terminal is given when the caller's stdin and stdout are both one.
        """
        ...

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Run `command` in it to its end, without a terminal; `given` is a file of this host for its stdin.

        Raises ConflictError when it is not running, CancelledError when cancelled (the command may then go on).
        """
        ...


class ProcessControl(Runtime, Protocol):
    """The runtime of processes, which may have no sandbox to run them in."""

    def isolation(self) -> Isolation:
        """What isolates them here."""
        ...

    def agree(self) -> None:
        """Remember that somebody agreed to run them without a sandbox."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One reading. What is not known is None: rates, for one, before there are two readings."""

    at: float
    """When it was taken: seconds since 1970."""
    cpu: float | None = None
    """CPUs in use: 0.5 is half of one."""
    cpus: float | None = None
    """CPUs it may use: its limit, or all that the machine has."""
    memory: int | None = None
    """Bytes in use, without what the kernel would give back at once (the page cache)."""
    memory_limit: int | None = None
    """Bytes it may use: its limit, or all that the machine has."""
    pids: int | None = None
    pids_limit: int | None = None
    received: float | None = None
    """Bytes a second."""
    sent: float | None = None


class StatsStream(Protocol):
    """Readings, about one a second. Iterating blocks, and ends when what is read has ended; close() ends it at once."""

    def __iter__(self) -> Iterator[Stats]: ...

    def close(self) -> None: ...
