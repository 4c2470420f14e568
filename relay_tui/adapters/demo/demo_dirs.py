"""Throw-away directories of demos, each locked while its demo lives, so that the next one knows which are dead."""

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

Clear = Callable[[Path], None]
"""Callback that ends the sessions of a demo directory. Raises RelayError if a session may still run."""


class DemoDirectories:
    """One directory of `home` for each demo. Its lock is taken before it is made, and outlives it."""

    def __init__(self, home: Path, clear: Clear) -> None:
        self._home = home
        self._locks = FileLocks(home)
        self._clear = clear

    @contextmanager
    def open(self) -> Iterator[Path]:
        """A fresh stage, which is cleared and gone when the block ends, however it ends."""
        name = new_id()
        self._make(self._home)
        try:
            with self._locks.hold(name, "relay demo"):
                stage = self._home / name
                self._make(stage)
                try:
                    yield stage
                finally:
                    self._take_down(stage)
        finally:
            self._leave()

    @staticmethod
    def _make(directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            hint = "$XDG_STATE_HOME names a directory where demos may play."
            raise filesystem_error(error, "The demo's directory cannot be made", directory, hint) from error

    def remove_stale(self) -> int:
        """Take down what killed demos left; answers how many there were."""
        swept = 0
        found = [path for path in self._home.glob("*") if not path.is_symlink()]
        names = {path.name for path in found if path.is_dir()} | {path.stem for path in found if path.suffix == ".lock"}
        for name in sorted(names):
            with suppress(ConflictError), self._locks.hold(name, "relay demo: clearing up"):
                stage = self._home / name  # may be gone, its lock left behind
                swept += stage.is_dir() and self._take_down(stage)
        return swept

    def _take_down(self, stage: Path) -> bool:
        """Clear it, then delete it; what cannot be cleared now stays for the next demo to try again."""
        try:
            self._clear(stage)
            return DataFiles(DataDir(self._home)).delete(stage)
        except RelayError as error:
            log.warning("%s is not cleared up: %s: %s", stage, error.title, error.detail)
            return False

    def _leave(self) -> None:
        """Remove the home of stages unless another demo is there, or left something."""
        with suppress(OSError):
            self._home.rmdir()
