"""The machine that relay runs on, as the doctor asks about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.ports.runtime import Isolation
    from relay_tui.ports.task import TaskContext


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, and the beginning of what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """A container engine that answered."""

    product: str
    version: str
    address: str
    origin: str
    """What named the address: '$DOCKER_HOST', 'docker context x', 'the default'."""
    local: bool
    """Whether it runs on this machine, whose directories it can mount."""
    rootless: bool
    cgroups: str
    """Like 'v2, systemd'."""
    limits: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    """Which of 'memory', 'cpus' and 'processes' it holds a container to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemInfo:
    """A directory, and the file system that it lies on."""

    mode: int
    """Its permission bits."""
    mine: bool
    """Whether it belongs to the user that relay runs as."""
    total: int
    free: int
    """Bytes of the file system, and those that the user can still write."""
    kind: str
    """The file system's type: ext4, tmpfs, nfs4."""
    network: bool
    """Whether it lies on another machine."""


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock file that somebody holds. `key` is the id of a project or session, or 'store'."""

    key: str
    holder: str
    """Who holds it and what for."""
    pid: int
    seconds: float
    """For how long."""
    stopped: bool
    """Whether the holder is a stopped process, which lets go of nothing by itself."""


class Host(Protocol):
    """Facts about the machine. Any method can hang where the world does: whoever calls has a deadline of his own."""

    def find(self, program: str) -> str:
        """The path of a program, '' when it is not there."""
        ...

    def run(self, command: Sequence[str], task: TaskContext) -> CommandResult:
        """Run a command to its end, without a terminal. Cancelled, it is killed with all that it started.

        Raises FileSystemError when it cannot be started, CancelledError.
        """
        ...

    def isolation(self, task: TaskContext) -> Isolation:
        """Run something in a sandbox as sessions of this data dir get it. Raises FileSystemError, CancelledError."""
        ...

    def variable(self, name: str) -> str:
        """A variable of the environment, '' when it is not set."""
        ...

    def engine(self, patience: float) -> EngineFacts:
        """Ask the engine about itself; it has `patience` seconds for its greeting.

        Raises EngineUnreachableError, EngineError.
        """
        ...

    def remote(self, url: str, task: TaskContext) -> None:
        """Ask a project's remote for its HEAD, with the credentials a clone would have.

        Raises GitError, CancelledError.
        """
        ...

    def filesystem_info(self, path: Path) -> FilesystemInfo:
        """What there is to know of a directory. Raises FileSystemError; NotFoundError when it is not there."""
        ...

    def try_writing(self, directory: Path) -> None:
        """Write, sync, lock and remove a small file there. Raises FileSystemError."""
        ...

    def held(self) -> list[HeldLock]:
        """The locks of the data dir that somebody holds."""
        ...
