"""Port for the checks of the machine that relay runs on."""

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
    """Exit code of a command, and the beginning of its output."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Properties of a container engine that answered."""

    product: str
    version: str
    address: str
    origin: str
    """Source of the address: '$DOCKER_HOST', 'docker context x', 'the default'."""
    local: bool
    """Whether it runs on this machine, whose directories it can mount."""
    rootless: bool
    cgroups: str
    """Like 'v2, systemd'."""
    limits: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    """Whether each of the limits 'memory', 'cpus' and 'processes' is enforced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemInfo:
    """A directory and its file system."""

    mode: int
    """Permission bits of the directory."""
    mine: bool
    """Whether the directory belongs to the user that relay runs as."""
    total: int
    free: int
    """Size of the file system in bytes, and the free bytes for this user."""
    kind: str
    """The file system's type: ext4, tmpfs, nfs4."""
    network: bool
    """Whether the file system is on another machine."""


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that a process holds. `key` is the id of a project or session, or 'store'."""

    key: str
    holder: str
    """Holder and purpose."""
    pid: int
    seconds: float
    """Time since the lock was taken."""
    stopped: bool
    """Whether the holder is a stopped process, which does not release the lock by itself."""


class Host(Protocol):
    """Properties of the machine. Any method can hang if the system does, so the caller needs a deadline."""

    def find(self, program: str) -> str:
        """Return the path of a program; '' if it is not installed."""
        ...

    def run(self, command: Sequence[str], task: TaskContext) -> CommandResult:
        """Run a command without a terminal. A cancel kills it with all its child processes.

        Raises FileSystemError if it cannot be started, CancelledError.
        """
        ...

    def isolation(self, task: TaskContext) -> Isolation:
        """Run a program in a sandbox like a session's. Raises FileSystemError, CancelledError."""
        ...

    def variable(self, name: str) -> str:
        """Return an environment variable; '' if it is not set."""
        ...

    def engine(self, patience: float) -> EngineFacts:
        """Query the engine's properties; it has `patience` seconds for its first answer.

        Raises EngineUnreachableError, EngineError.
        """
        ...

    def remote(self, url: str, task: TaskContext) -> None:
        """Query the HEAD of a project's remote, with the credentials of a clone.

        Raises GitError, CancelledError.
        """
        ...

    def filesystem_info(self, path: Path) -> FilesystemInfo:
        """Return the properties of a directory. Raises FileSystemError; NotFoundError if it does not exist."""
        ...

    def try_writing(self, directory: Path) -> None:
        """Write, sync, lock and remove a small file in the directory. Raises FileSystemError."""
        ...

    def held(self) -> list[HeldLock]:
        """Return the locks of the data directory that are held."""
        ...
