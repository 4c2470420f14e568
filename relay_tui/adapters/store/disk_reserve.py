"""Room that the store keeps for itself, so that what ends a session or frees room can be written to a full disk."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

SLOTS = 8
"""Writes that it is good for until there is room again: to stop a session takes two."""
_STEP = 64 << 10


class DiskReserve:
    """Files whose blocks the disk has given already. A change is written into one, and that becomes the store file.

    Nothing is freed in between, so a session that writes without end cannot snatch it away. Use it under the store's
    lock.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def take(self, size: int) -> Path | None:
        """A file that holds `size` bytes without asking the disk for more, for the taker to rename; None if none."""
        return next((slot for slot in self._slots() if _size(slot) >= size), None)

    def fill(self, size: int) -> None:
        """Make what was taken anew, each file with room for a store file of `size` bytes that grows.

        Only where the disk has room to spare: what is left of a full one is for others.
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
    """Make the file, with blocks for all of it, or not at all. Raises OSError."""
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
