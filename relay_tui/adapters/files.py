"""Directories in the data dir: made, surveyed, moved to the trash and back, deleted for good."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

from relay_tui.adapters.durable import refused
from relay_tui.errors import FileSystemError, NotFoundError
from relay_tui.paths import DataDir
from relay_tui.services.ports import Disk, TrashEntry

log = logging.getLogger(__name__)


class DataFiles:
    """Fulfils the Files port for one data dir."""

    def __init__(self, place: DataDir) -> None:
        self._place = place

    def has_clone(self, path: Path) -> bool:
        """Whether a whole clone lies at `path`: clones get their name only when they are whole."""
        return (path / "HEAD").is_file() or (path / ".git").is_dir()

    def make_directory(self, path: Path) -> None:
        """Make `path` and its parents, readable by their owner alone; fine if it exists."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise refused(error, f"{path} cannot be made", path) from error

    def survey(self) -> Disk:
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
        trash = frozenset(entry.name for entry in self.trash_entries())
        return Disk(frozenset(bases), MappingProxyType(clones), tuple(sorted(partials)), trash)

    # --- the trash ---

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` aside into the trash in one step, as `name` and the time; fine if it is not there."""
        try:
            self._place.trash.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(self._place.trash / f"{name}-{int(time.time())}-{time.monotonic_ns() % 10**9:09}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise refused(error, f"{path} cannot be moved to the trash", path) from error

    def from_trash(self, name: str, path: Path) -> None:
        """Move the newest entry that went to the trash as `name` back to `path`, an empty directory or nothing."""
        found = [entry for entry in self.trash_entries() if entry.name == name]
        if not found:
            raise NotFoundError("It is no longer in the trash", f"{self._place.trash}: nothing of {name}")
        self.make_directory(path.parent)
        try:
            found[-1].path.rename(path)
        except OSError as error:
            raise refused(error, f"{found[-1].path} cannot be moved back", path) from error

    def trash_entries(self) -> list[TrashEntry]:
        """What lies in the trash, the oldest first. A name that relay did not give is left out."""
        entries = []
        for path in _directories(self._place.trash):
            name, _, rest = path.name.partition("-")
            moved_at, _, _ = rest.partition("-")
            if moved_at.isdigit():
                entries.append(TrashEntry(name, float(moved_at), path))
        return sorted(entries, key=lambda entry: (entry.moved_at, entry.path.name))

    # --- deleting ---

    def measure(self, path: Path) -> int:
        """The bytes on disk of everything below `path`, symlinks not followed; what cannot be read counts nothing."""
        total = 0
        for directory, _, names in os.walk(path):
            for name in (".", *names):
                try:
                    total += os.lstat(os.path.join(directory, name)).st_blocks * 512  # noqa: PTH118  a tenth of the time
                except OSError:
                    continue
        return total

    def delete(self, path: Path) -> bool:
        """Delete a directory of the data dir for good; False if some of it, another user's, is still there."""
        if not path.is_relative_to(self._place.root) or path == self._place.root:
            raise FileSystemError("Refused to delete what is not relay's", str(path))
        if mounted := next(_mounted_below(path), ""):
            raise FileSystemError("Something is mounted in there", mounted, "Unmount it first.")
        try:
            shutil.rmtree(path, onerror=_writable_first)
        except FileNotFoundError:
            return True
        except (OSError, RecursionError) as error:
            log.info("rmtree gave up on %s: %s", path, error)
            subprocess.run(["rm", "-rf", "--", str(path)], stderr=subprocess.DEVNULL, check=False)  # knows any depth
        return not os.path.lexists(path)

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
        raise refused(error, f"{path} cannot be read", path) from error


def _writable_first(function: Callable[..., object], failed: str, _: object) -> None:
    """A directory without write permission keeps its entries: give it some, and try once more."""
    path = Path(failed)
    for directory in (path.parent, path):
        if not directory.is_symlink() and stat.S_ISDIR(directory.lstat().st_mode):
            directory.chmod(stat.S_IRWXU)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        function(failed)


def _mounted_below(path: Path) -> Iterator[str]:
    """The mount points at or below `path`: deleting it would empty what is mounted."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        point = line.split()[4].decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")
        if Path(point).is_relative_to(path):
            yield point
