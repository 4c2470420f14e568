"""Directories in the data dir: made, surveyed, moved to the trash and back, deleted for good."""

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
"""Begins the name of an entry of the trash whose deletion has begun."""


class DataFiles:
    """Fulfils the Files port for one data dir."""

    def __init__(self, place: DataDir) -> None:
        self._place = place

    def has_clone(self, path: Path) -> bool:
        """Whether a whole clone lies at `path`: clones get their name only when they are whole.

        One that its session closed to us counts: only what is whole was ever open to a session.
        """
        try:
            return (path / "HEAD").is_file() or os.path.lexists(path / ".git")
        except PermissionError:
            return True

    def holds_anything(self, path: Path) -> bool:
        """Whether `path` is there and not an empty directory."""
        try:
            with os.scandir(path) as entries:
                return next(entries, None) is not None
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def make_directory(self, path: Path) -> None:
        """Make `path` and its parents, readable by their owner alone; fine if it exists."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise filesystem_error(error, f"{path} cannot be made", path) from error

    def try_writing(self) -> None:
        """Write as much as a change of the store would, and take it back."""
        probe = self._place.tmp / f"probe-{os.getpid()}-{threading.get_ident()}"
        try:
            size = self._place.store.stat().st_size if self._place.store.exists() else 0
            try:
                with probe.open("wb") as file:
                    file.write(bytes(2 * size + 65_536))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise filesystem_error(error, "The data directory cannot be written", probe) from error

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Write a log to a new file named after `name` and the time; answer where. Replaces nothing."""
        directory = self._place.saved_logs
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
            raise filesystem_error(error, f"The log cannot be saved to {directory}", path) from error
        return path

    def survey(self) -> DataDirSurvey:
        """Every clone, whole or cut or in the trash, that the data dir holds."""
        bases: list[str] = []
        clones: dict[str, str] = {}
        partials: list[Path] = []
        for project in _directories(self._place.root / "projects"):
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
        partials += [path for path in _directories(self._place.tmp) if ".partial-" in path.name]
        trash = frozenset(entry.name for entry in self.trash_entries() if not entry.condemned)
        return DataDirSurvey(frozenset(bases), MappingProxyType(clones), tuple(sorted(partials)), trash)

    # --- the trash ---

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` aside into the trash in one step, as `name` and the time; fine if it is not there."""
        target = self._place.trash / f"{name}-{int(time.time())}-{time.monotonic_ns() % 10**9:09}"
        try:
            self._place.trash.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                path.rename(target)
            except PermissionError as error:  # a directory that moves has to be writable itself
                _open_up(path, error)
                path.rename(target)
        except FileNotFoundError:
            return
        except OSError as error:
            raise filesystem_error(error, f"{path} cannot be moved to the trash", path) from error

    def from_trash(self, name: str, path: Path) -> None:
        """Move the newest entry that went to the trash as `name` back to `path`, an empty directory or nothing."""
        found = [entry for entry in self.trash_entries() if entry.name == name and not entry.condemned]
        if not found:
            raise NotFoundError("It is no longer in the trash", f"{self._place.trash}: nothing of {name}")
        self.make_directory(path.parent)
        try:
            found[-1].path.rename(path)
        except OSError as error:
            raise filesystem_error(error, f"{found[-1].path} cannot be moved back", path) from error

    def trash_entries(self) -> list[TrashEntry]:
        """What lies in the trash, the oldest first. A name that relay did not give is left out."""
        entries = []
        for path in _directories(self._place.trash):
            name, _, rest = path.name.removeprefix(_CONDEMNED).partition("-")
            moved_at, _, _ = rest.partition("-")
            if moved_at.isdigit():
                entries.append(TrashEntry(name, float(moved_at), path, path.name.startswith(_CONDEMNED)))
        return sorted(entries, key=lambda entry: (entry.moved_at, entry.path.name))

    # --- deleting ---

    def mark_for_deletion(self, entry: TrashEntry) -> Path:
        """Give an entry a name under which nothing is restored."""
        _refuse_mounted(entry.path)
        if entry.condemned:
            return entry.path
        try:
            return entry.path.rename(entry.path.with_name(f"{_CONDEMNED}{entry.path.name}"))
        except FileNotFoundError as error:
            raise NotFoundError("It is no longer in the trash", str(entry.path)) from error
        except OSError as error:
            raise filesystem_error(error, f"{entry.path} cannot be purged", entry.path) from error

    def measure(self, path: Path) -> int:
        """The bytes on disk of everything below `path`: no symlink followed, no hard link counted twice.

        What cannot be read counts nothing.
        """
        return directory_tree.tree_size(path)

    def trash_size(self) -> int:
        """The bytes on disk of the whole trash."""
        return self.measure(self._place.trash)

    def delete(self, path: Path) -> bool:
        """Delete a directory of the data dir for good; False if some of it, another user's, is still there."""
        if not path.is_relative_to(self._place.root) or path == self._place.root:
            raise FileSystemError(
                "Refused to delete what is not relay's", str(path), "Delete it by hand if it is to go."
            )
        _refuse_mounted(path)
        said = directory_tree.delete_tree(path)
        if said:
            log.info("not all of %s can be deleted: %s", path, said[:500])
        return not said

    def disk_size(self) -> int:
        """The bytes of the file system that the data dir lies on."""
        return shutil.disk_usage(self._place.root).total


def _directories(path: Path) -> list[Path]:
    """The real directories in `path`, by name; none if it is not there."""
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise filesystem_error(error, f"{path} cannot be read", path) from error


def _open_up(path: Path, error: PermissionError) -> None:
    """Make a directory of ours writable for us. Raises ForeignFilesError when it is another user's."""
    status = path.lstat()
    if status.st_uid != os.geteuid() != 0:
        raise ForeignFilesError(
            f"{path} belongs to another user",
            f"Its session gave it to uid {status.st_uid}, and only its owner may move it.",
            f"Give it back, then try again: sudo chown {os.geteuid()} {path}",
        ) from error
    if stat.S_ISDIR(status.st_mode):  # never through a symlink
        path.chmod(stat.S_IRWXU)


def _refuse_mounted(path: Path) -> None:
    if mounted := next(_mounted_below(path), ""):
        raise FileSystemError("Something is mounted in there", mounted, "Unmount it first.")


def _mounted_below(path: Path) -> Iterator[str]:
    """The mount points at or below `path`: deleting it would empty what is mounted."""
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
    """Make a file that was not there, numbered if need be; answer it and its descriptor."""
    number = 1
    while True:
        path = directory / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
