"""Port for the directories of the data directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DataDirSurvey:
    """The clones in a data directory."""

    bases: frozenset[str] = frozenset()
    """Projects with a complete base clone."""
    clones: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Session id → project id of every complete session clone."""
    partials: tuple[Path, ...] = ()
    """Clones with a temporary name, and copies of sessions' objects."""
    trash: frozenset[str] = frozenset()
    """Ids of the projects and sessions whose directory is in the trash."""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A directory in the trash. `name` is the id of the project or session; `moved_at` is in seconds since 1970.

    A `condemned` entry cannot be restored: its deletion has started.
    """

    name: str
    moved_at: float
    path: Path
    condemned: bool = False


class Files(Protocol):
    """Directories in the data directory. Every method raises FileSystemError."""

    def has_clone(self, path: Path) -> bool:
        """Return whether there is a complete clone at `path`."""
        ...

    def holds_anything(self, path: Path) -> bool:
        """Return whether `path` exists and is not an empty directory. It need not be a valid clone."""
        ...

    def make_directory(self, path: Path) -> None:
        """Create `path` and its parents, readable only by the owner. Does nothing if it exists."""
        ...

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Write a log to a new file named after `name` and the time; return its path. Replaces no file."""
        ...

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` atomically into the trash as `name`. Does nothing if it does not exist.

        Raises ForeignFilesError if it belongs to another user: Runtime.reclaim_ownership() fixes that.
        """
        ...

    def try_writing(self) -> None:
        """Write and delete as much as a change of the store needs. Raises FileSystemError."""
        ...

    def survey(self) -> DataDirSurvey:
        """Return every clone in the data directory: complete, interrupted or in the trash."""
        ...

    def from_trash(self, name: str, path: Path) -> None:
        """Move the newest trash entry called `name` back to `path`. Raises NotFoundError if there is none."""
        ...

    def trash_entries(self) -> list[TrashEntry]:
        """Return the entries of the trash, the oldest first. Sizes are not measured."""
        ...

    def mark_for_deletion(self, entry: TrashEntry) -> Path:
        """Mark an entry for deletion, so that it cannot be restored; return its new path.

        Raises NotFoundError if it no longer exists, FileSystemError if something is mounted in it.
        """
        ...

    def measure(self, path: Path) -> int:
        """Return the bytes on disk of everything below `path`. Follows no symlinks, counts hard links once."""
        ...

    def trash_size(self) -> int:
        """Return the bytes on disk of the whole trash."""
        ...

    def delete(self, path: Path) -> bool:
        """Delete a directory of the data directory without following symlinks; return False if some of it is left.

        Files without write permission are made writable first. Files of other users stay.
        """
        ...

    def disk_size(self) -> int:
        """Return the size in bytes of the data directory's file system."""
        ...
