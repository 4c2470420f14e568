"""What services ask of the world. Adapters fulfil these; services know nothing else of git, engines or files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from relay_tui.model import Branch, Identity, Record, Records
from relay_tui.services.watch import Watch

# --- the store -------------------------------------------------------------------------------------------------------


class Transaction(Protocol):
    """One change of the store: read, change, write, all under the inter-process lock."""

    @property
    def records(self) -> Records:
        """The records as this transaction sees them, its own changes included."""
        ...

    def put(self, record: Record) -> None:
        """Insert or replace a project or a session by its id."""
        ...

    def drop(self, record_id: str) -> None:
        """Forget a record wholly. Unknown ids are fine."""
        ...


class Store(Protocol):
    """Durable records. Every method raises StoreError, or FileSystemError when the disk says no."""

    def read(self) -> Records:
        """The records as they are now. Cheap when nothing changed since the last read."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a change; it is written, durably and whole, when the block ends without an exception."""
        ...

    def stamp(self) -> object:
        """A value that differs whenever any process has written the store since. Costs one stat()."""
        ...

    def warning(self) -> str:
        """What went wrong with the store file earlier and was mended (a corrupt file set aside), or ''."""
        ...


class Locks(Protocol):
    """Lock files that the kernel releases when their process dies."""

    def hold(self, key: str, purpose: str) -> AbstractContextManager[None]:
        """Hold the lock for a project or session id. Raises ConflictError that names the holder's pid and purpose."""
        ...

    def holder(self, key: str) -> str:
        """Who holds it, in words ('relay session create, pid 4711'), or '' if nobody does."""
        ...


# --- git -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """A place to clone from. `url` is bare; the secret half never leaves memory and never shows in a repr."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


class Git(Protocol):
    """git on the host. Every method raises GitError with git's own words, or FileSystemError."""

    def parse_source(self, text: str) -> Source:
        """Turn what was typed into a source: secrets split off, local paths absolute. Raises InvalidInputError."""
        ...

    def check_branch_name(self, name: str) -> None:
        """Raise InvalidInputError, field 'branch', when git would refuse the name, or it begins with '-'."""
        ...

    def clone_base(self, source: Source, target: Path, watch: Watch) -> str:
        """Make a bare clone of every head and tag at `target` (which must not exist); answer the default branch.

        Works in a temporary name beside `target` and renames when whole. Cancelled or failed, it leaves nothing.
        """
        ...

    def branches(self, base: Path) -> list[Branch]:
        """Every head of a base clone, the most recently committed first."""
        ...

    def clone_session(
        self, base: Path, target: Path, *, branch: str, new_branch: str, origin: str, watch: Watch
    ) -> list[str]:
        """Make an independent clone of `base` at `target`, on `branch`, or on `new_branch` begun there if not ''.

        `target` may exist when it is an empty directory. `origin` becomes its remote. Works in a temporary name and
        renames when whole. Answers notes: what the clone came without (a submodule, LFS files), in words.
        """
        ...

    def identity(self) -> Identity:
        """The host's user.name and user.email."""
        ...


# --- what runs a session ---------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Observed:
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


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of a container's output, as they came. `stream` is 'stdout' or 'stderr' (a TTY has only stdout)."""

    stream: str
    data: bytes


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

    def create(self, spec: ContainerSpec, watch: Watch) -> str:
        """Pull the image if it is missing, create the container, answer its id. Does not start it.

        A container that already carries the spec's labels for the same session is removed first.
        """
        ...

    def start(self, container_id: str) -> None:
        """Start it; fine if it runs already."""
        ...

    def stop(self, container_id: str) -> None:
        """Ask it to end, then make it; fine if it is not running."""
        ...

    def remove(self, container_id: str) -> None:
        """Remove it, running or not; fine if it is gone."""
        ...

    def inspect(self, container_id: str) -> Observed:
        """How it is now."""
        ...

    def wait(self, container_id: str, seconds: float) -> Observed:
        """How it is once it ended, or after `seconds` at the latest."""
        ...

    def observe(self) -> list[Observed]:
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

    def delete_tree(self, path: Path, image: str) -> None:
        """Delete a directory of the data dir whose files belong to other users, from a throw-away container.

        It has no network, a read-only root, nothing but `path` mounted and no right but to override file permissions.
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


@dataclass(frozen=True, slots=True)
class Disk:
    """The directories of a data dir."""

    bases: frozenset[str] = frozenset()
    """Projects whose base clone is whole."""
    clones: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Session id → project id of every whole session clone."""
    partials: tuple[Path, ...] = ()
    """Clones under a temporary name."""
    trash: frozenset[str] = frozenset()
    """Ids of the projects and sessions whose directory lies in the trash."""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A directory in the trash. `name` is the id of the project or session; `moved_at` is in seconds since 1970.

    One that is `condemned` is never restored: its deletion has begun.
    """

    name: str
    moved_at: float
    path: Path
    condemned: bool = False


# --- the file system -------------------------------------------------------------------------------------------------


class Files(Protocol):
    """Directories in the data dir. Every method raises FileSystemError."""

    def has_clone(self, path: Path) -> bool:
        """Whether a whole clone lies at `path`."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make `path` and its parents, readable by their owner alone; fine if it exists."""
        ...

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` aside into the trash in one step, as `name`; fine if it is not there."""
        ...

    def survey(self) -> Disk:
        """Every clone, whole or cut or in the trash, that the data dir holds."""
        ...

    def from_trash(self, name: str, path: Path) -> None:
        """Move the newest entry that went to the trash as `name` back to `path`. Raises NotFoundError if none did."""
        ...

    def trash_entries(self) -> list[TrashEntry]:
        """What lies in the trash, the oldest first. Sizes are not measured."""
        ...

    def condemn(self, entry: TrashEntry) -> Path:
        """Mark that an entry is about to be deleted, and is not to be restored any more; answer where it lies then.

        Raises NotFoundError when it is no longer there, FileSystemError when something is mounted in it.
        """
        ...

    def measure(self, path: Path) -> int:
        """The bytes on disk of everything below `path`: symlinks not followed, hard links counted once."""
        ...

    def trash_size(self) -> int:
        """The bytes on disk of the whole trash."""
        ...

    def delete(self, path: Path) -> bool:
        """Delete a directory of the data dir for good, never through a symlink; False if some of it is still there.

        What a container left unwritable is made writable first; what belongs to another user stays.
        """
        ...

    def disk_size(self) -> int:
        """The bytes of the file system that the data dir lies on."""
        ...
