"""Disk space that the store reserves, so that stopping or removing a session can be recorded on a full disk."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

SLOTS = 8
"""Writes to a full disk that the reserve is enough for. Stopping a session takes two."""
_STEP = 64 << 10  # bytes


class Reserve:
    """Files with allocated blocks. A change is written into one of them, which then becomes the store file.

    No block is freed in between, so a session that writes all the time cannot take the space. Use it under the lock of
    the store.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def take(self, size: int) -> Path | None:
        """Return a file with blocks for `size` bytes, for the caller to rename; None if there is none."""
        return next((slot for slot in self._slots() if _size(slot) >= size), None)

    def fill(self, size: int) -> None:
        """Replace the files that were used. Each has space for a store file of `size` bytes that grows.

        Nothing is allocated on a nearly full disk; the rest of its space is for others.
        """
        good = [slot for slot in self._slots() if _size(slot) >= size + _STEP // 4]
        wanted = [slot for slot in self._names() if slot not in good]
        if not wanted:
            return
        each = (2 * size // _STEP + 1) * _STEP
        try:
            if shutil.disk_usage(self._directory.parent).free < 4 * each * len(wanted):
                return
            self._directory.mkdir(mode=0o700, exist_ok=True)
            for slot in wanted:
                _allocate(slot, each)
        except OSError as error:
            log.info("no reserve for the store: %s", error)

    def _names(self) -> list[Path]:
        return [self._directory / str(number) for number in range(SLOTS)]

    def _slots(self) -> list[Path]:
        return [slot for slot in self._names() if _size(slot)]


def _size(slot: Path) -> int:
    try:
        return slot.stat().st_size
    except OSError:
        return 0


def _allocate(slot: Path, size: int) -> None:
    """Create the file with blocks for all of it, or not at all. Raises OSError."""
    slot.unlink(missing_ok=True)
    descriptor = os.open(slot, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        with suppress(OSError):
            slot.unlink()
        raise
    finally:
        os.close(descriptor)
