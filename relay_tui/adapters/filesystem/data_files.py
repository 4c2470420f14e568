"""Directories in the data directory: create, list, move to the trash and back, delete."""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from relay_tui.adapters.filesystem import directory_tree
from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.domain.errors import FileSystemError, ForeignFilesError, NotFoundError
from relay_tui.ports import DataDirSurvey, TrashEntry

if TYPE_CHECKING:
    from relay_tui.paths import DataDir

log = logging.getLogger(__name__)

_CONDEMNED = "purging."
"""Prefix of a trash entry's name once its deletion has started."""


class DataFiles:
    """`Files` port for one data directory."""

    def __init__(self, data_dir: DataDir) -> None:
        self._data_dir = data_dir

    def has_clone(self, path: Path) -> bool:
        """Return whether there is a complete clone at `path`. A clone gets its name only when it is complete.

        A clone that relay may not read counts too: a session gets access only to a complete clone, and may have
        changed its permissions.
        """
        try:
            return (path / "HEAD").is_file() or os.path.lexists(path / ".git")
        except PermissionError:
            return True

    def holds_anything(self, path: Path) -> bool:
        """Return whether `path` exists and is not an empty directory."""
        try:
            with os.scandir(path) as entries:
                return next(entries, None) is not None
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def make_directory(self, path: Path) -> None:
        """Create `path` and its parents with mode 0700. Do nothing if `path` exists."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise filesystem_error(error, f"Cannot create {path}", path) from error

    def try_writing(self) -> None:
        """Write and delete a file twice the size of the store. Raises FileSystemError if that fails."""
        probe = self._data_dir.tmp / f"probe-{os.getpid()}-{threading.get_ident()}"
        try:
            size = self._data_dir.store.stat().st_size if self._data_dir.store.exists() else 0
            try:
                with probe.open("wb") as file:
                    file.write(bytes(2 * size + 65_536))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise filesystem_error(error, "Cannot write to the data directory", probe) from error

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Write a log to a new file named after `name` and the time, return its path. Replaces no file."""
        directory = self._data_dir.saved_logs
        self.make_directory(directory)
        stem = f"{re.sub('[^A-Za-z0-9._-]+', '-', name)[:100].lstrip('.-')}-{time.strftime('%Y%m%d-%H%M%S')}"
        path = directory / f"{stem}.log"
        try:
            path, descriptor = _new_file(directory, stem)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.writelines(pieces)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise filesystem_error(error, f"Cannot save the log to {directory}", path) from error
        return path

    def survey(self) -> DataDirSurvey:
        """List every clone in the data directory: complete, incomplete or in the trash."""
        bases: list[str] = []
        clones: dict[str, str] = {}
        partials: list[Path] = []
        for project in _directories(self._data_dir.root / "projects"):
            for path in _directories(project):
                if ".partial-" in path.name:
                    partials.append(path)
                elif path.name == "base.git" and self.has_clone(path):
                    bases.append(project.name)
            for path in _directories(project / "sessions"):
                if ".partial-" in path.name:
                    partials.append(path)
                elif self.has_clone(path):
                    clones[path.name] = project.name
        partials += [path for path in _directories(self._data_dir.tmp) if ".partial-" in path.name]
        trash = frozenset(entry.name for entry in self.trash_entries() if not entry.condemned)
        return DataDirSurvey(frozenset(bases), MappingProxyType(clones), tuple(sorted(partials)), trash)

    # --- the trash ---

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` into the trash in one step, named after `name` and the time. Do nothing if it does not exist."""
        target = self._data_dir.trash / f"{name}-{int(time.time())}-{time.monotonic_ns() % 10**9:09}"
        try:
            self._data_dir.trash.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                path.rename(target)
            except PermissionError as error:  # a directory must be writable itself to be moved
                _make_writable(path, error)
                path.rename(target)
        except FileNotFoundError:
            return
        except OSError as error:
            raise filesystem_error(error, f"Cannot move {path} to the trash", path) from error

    def from_trash(self, name: str, path: Path) -> None:
        """Move the newest trash entry called `name` back to `path`, which may be an empty directory.

        Raises NotFoundError if there is none.
        """
        found = [entry for entry in self.trash_entries() if entry.name == name and not entry.condemned]
        if not found:
            raise NotFoundError(f"{name} is no longer in the trash", f"{self._data_dir.trash}: no entry of {name}")
        self.make_directory(path.parent)
        try:
            found[-1].path.rename(path)
        except OSError as error:
            raise filesystem_error(error, f"Cannot restore {found[-1].path}", path) from error

    def trash_entries(self) -> list[TrashEntry]:
        """List the trash, oldest entry first. Entries that relay did not name are left out."""
        entries = []
        for path in _directories(self._data_dir.trash):
            name, _, rest = path.name.removeprefix(_CONDEMNED).partition("-")
            moved_at, _, _ = rest.partition("-")
            if moved_at.isdigit():
                entries.append(TrashEntry(name, float(moved_at), path, path.name.startswith(_CONDEMNED)))
        return sorted(entries, key=lambda entry: (entry.moved_at, entry.path.name))

    # --- deleting ---

    def mark_for_deletion(self, entry: TrashEntry) -> Path:
        """Rename an entry so that it can no longer be restored. Return its new path."""
        _refuse_mounted(entry.path)
        if entry.condemned:
            return entry.path
        try:
            return entry.path.rename(entry.path.with_name(f"{_CONDEMNED}{entry.path.name}"))
        except FileNotFoundError as error:
            raise NotFoundError(f"{entry.name} is no longer in the trash", str(entry.path)) from error
        except OSError as error:
            raise filesystem_error(error, f"Cannot purge {entry.path}", entry.path) from error

    def measure(self, path: Path) -> int:
        """Return the bytes on disk of everything below `path`.

        Symbolic links are not followed, a hard-linked file counts once, an unreadable directory counts as 0.
        """
        return directory_tree.tree_size(path)

    def trash_size(self) -> int:
        """Return the bytes on disk of the whole trash."""
        return self.measure(self._data_dir.trash)

    def delete(self, path: Path) -> bool:
        """Delete a directory of the data directory. Return False if some of it, owned by another user, remains."""
        if not path.is_relative_to(self._data_dir.root) or path == self._data_dir.root:
            raise FileSystemError(
                "Cannot delete a directory outside the data directory", str(path), "Delete it yourself if it is unused."
            )
        _refuse_mounted(path)
        problem = directory_tree.delete_tree(path)
        if problem:
            log.info("not all of %s can be deleted: %s", path, problem[:500])
        return not problem

    def disk_size(self) -> int:
        """Return the size in bytes of the file system that holds the data directory."""
        return shutil.disk_usage(self._data_dir.root).total


def _directories(path: Path) -> list[Path]:
    """Return the real directories in `path`, sorted by name. None if `path` does not exist."""
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise filesystem_error(error, f"Cannot read {path}", path) from error


def _make_writable(path: Path, error: PermissionError) -> None:
    """Make a directory writable for this user. Raises ForeignFilesError if another user owns it."""
    status = path.lstat()
    if status.st_uid != os.geteuid() != 0:
        raise ForeignFilesError(
            f"{path} belongs to another user",
            f"The session changed its owner to uid {status.st_uid}, and only the owner may move it.",
            f"Change the owner, then try again: sudo chown {os.geteuid()} {path}",
        ) from error
    if stat.S_ISDIR(status.st_mode):  # chmod would follow a symbolic link
        path.chmod(stat.S_IRWXU)


def _refuse_mounted(path: Path) -> None:
    if mounted := next(_mounted_below(path), ""):
        raise FileSystemError(f"Cannot delete {path}: a file system is mounted in it", mounted, "Unmount it first.")


def _mounted_below(path: Path) -> Iterator[str]:
    """Yield the mount points at or below `path`: a deletion would empty the mounted file system."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return
    real = path.parent.resolve() / path.name
    for line in lines:
        point = line.split()[4].decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")
        if Path(point).is_relative_to(real):
            yield point


def _new_file(directory: Path, stem: str) -> tuple[Path, int]:
    """Create a new file, numbered if the name is taken. Return its path and descriptor."""
    number = 1
    while True:
        path = directory / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
