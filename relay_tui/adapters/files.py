"""Directories in the data dir: made, moved to the trash, deleted for good."""

from __future__ import annotations

import logging
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from relay_tui.adapters.durable import refused

log = logging.getLogger(__name__)

DAY = 86_400.0


class DataFiles:
    """Fulfils the Files port. `trash` lies on the same file system as everything that is moved there."""

    def __init__(self, trash: Path) -> None:
        self._trash = trash

    def has_clone(self, path: Path) -> bool:
        """Whether a whole clone lies at `path`: clones get their name only when they are whole."""
        return (path / "HEAD").is_file() or (path / ".git").is_dir()

    def make_directory(self, path: Path) -> None:
        """Make `path` and its parents, readable by their owner alone; fine if it exists."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise refused(error, f"{path} cannot be made", path) from error

    def to_trash(self, path: Path, name: str) -> None:
        """Move `path` aside into the trash in one step, as `name` and the time; fine if it is not there.

        An empty directory is removed: there is nothing in it to keep.
        """
        with suppress(OSError):
            path.rmdir()
            return
        try:
            self._trash.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(self._trash / f"{name}-{int(time.time())}-{time.monotonic_ns() % 1_000_000:06}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise refused(error, f"{path} cannot be moved to the trash", path) from error

    def empty_trash(self, older_than_days: float) -> int:
        """Delete what went to the trash before that; answer how many entries went. What cannot be deleted stays."""
        gone = 0
        for entry in sorted(self._trash.glob("*-*-*")):
            moved_at = float(entry.name.split("-")[-2]) if entry.name.split("-")[-2].isdigit() else time.time()
            if time.time() - moved_at >= older_than_days * DAY and not _mounted_below(entry):
                gone += _delete(entry)
        return gone


def _delete(path: Path) -> bool:
    def writable_first(function: Callable[..., object], failed: str, _: object) -> None:
        parent = Path(failed).parent
        parent.chmod(stat.S_IRWXU)
        function(failed)

    try:
        shutil.rmtree(path, onerror=writable_first)
    except OSError as error:
        log.warning("%s stays in the trash: %s", path, error)
        return False
    return True


def _mounted_below(path: Path) -> bool:
    """Whether anything is mounted at or below `path`: deleting it would empty what is mounted."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    points = (line.split()[4].encode().decode("unicode_escape") for line in mounts)
    return any(Path(point).is_relative_to(path) for point in points)
