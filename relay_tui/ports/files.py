"""Directories of the data dir."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DataDirSurvey:
    """The directories of a data dir."""

    bases: frozenset[str] = frozenset()
    """Projects whose base clone is whole."""
    clones: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Session id → project id of every whole session clone."""
    partials: tuple[Path, ...] = ()
    """Clones under a temporary name, and copies of sessions' objects."""
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


class Files(Protocol):
    """Directories in the data dir. Every method raises FileSystemError."""

    def has_clone(self, path: Path) -> bool:
        """Whether a whole clone lies at `path`."""
        ...

    def holds_anything(self, path: Path) -> bool:
        """Whether `path` is there and not an empty directory, whatever a session made of its clone."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make `path` and its parents, readable by their owner alone; fine if it exists."""
        ...

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Write a log to a new file named after `name` and the time; answer where. Replaces nothing."""
        ...

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` aside into the trash in one step, as `name`; fine if it is not there.

        Raises ForeignFilesError when it is another user's: Runtime.reclaim_ownership() fixes that.
        """
        ...

    def try_writing(self) -> None:
        """Write as much as a change of the store would, and take it back. Raises FileSystemError: why it cannot be."""
        ...

    def survey(self) -> DataDirSurvey:
        """Every clone, whole or cut or in the trash, that the data dir holds."""
        ...

    def from_trash(self, name: str, path: Path) -> None:
        """Move the newest entry that went to the trash as `name` back to `path`. Raises NotFoundError if none did."""
        ...

    def trash_entries(self) -> list[TrashEntry]:
        """What lies in the trash, the oldest first. Sizes are not measured."""
        ...

    def mark_for_deletion(self, entry: TrashEntry) -> Path:
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
