"""Temporary directories of demos. A running demo holds a lock, so that the next one can delete stale directories."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.domain.errors import ConflictError, RelayError
from relay_tui.domain.models import new_id
from relay_tui.paths import DataDir

log = logging.getLogger(__name__)

EndSessions = Callable[[Path], None]
"""Callback that ends the sessions of a demo directory. Raises RelayError if a session may still run."""


class DemoDirectories:
    """Directories of demos below `home`. Each has a lock, held from before its creation until its deletion."""

    def __init__(self, home: Path, end_sessions: EndSessions) -> None:
        self._home = home
        self._locks = FileLocks(home)
        self._end_sessions = end_sessions

    @contextmanager
    def open(self) -> Iterator[Path]:
        """Yield a new directory. When the block ends, end its sessions and delete it, also after an error."""
        name = new_id()
        self._create(self._home)
        try:
            with self._locks.hold(name, "relay demo"):
                directory = self._home / name
                self._create(directory)
                try:
                    yield directory
                finally:
                    self._delete(directory)
        finally:
            self._remove_home()

    @staticmethod
    def _create(directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            hint = "Set $XDG_STATE_HOME to a directory that relay can write."
            raise filesystem_error(error, "Cannot create the demo's directory", directory, hint) from error

    def remove_stale(self) -> int:
        """Delete the directories of killed demos. Return their number."""
        count = 0
        found = [path for path in self._home.glob("*") if not path.is_symlink()]
        names = {path.name for path in found if path.is_dir()} | {path.stem for path in found if path.suffix == ".lock"}
        for name in sorted(names):
            with suppress(ConflictError), self._locks.hold(name, "relay demo: cleanup"):
                directory = self._home / name  # may not exist although its lock file does
                count += directory.is_dir() and self._delete(directory)
        return count

    def _delete(self, directory: Path) -> bool:
        """End its sessions, then delete it. Return False if that failed; the next demo tries again."""
        try:
            self._end_sessions(directory)
            return DataFiles(DataDir(self._home)).delete(directory)
        except RelayError as error:
            log.warning("cannot delete the demo directory %s: %s: %s", directory, error.title, error.detail)
            return False

    def _remove_home(self) -> None:
        """Remove the parent directory if it is empty: another demo can still use it."""
        with suppress(OSError):
            self._home.rmdir()
