"""Watch for changes of one file, by inotify(7); where inotify does not work, by regular checks."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

LOOK = 0.8  # seconds between checks without inotify
_EVENT = struct.Struct("iIII")  # watch descriptor, event mask, cookie, length of the name that follows
_WRITTEN, _ATTRIBUTES, _MOVED_FROM, _MOVED_TO, _CREATED, _DELETED = 0x8, 0x4, 0x40, 0x80, 0x100, 0x200
_DELETED_ITSELF, _MOVED_ITSELF, _UNMOUNTED, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_WANTED = _WRITTEN | _ATTRIBUTES | _MOVED_FROM | _MOVED_TO | _CREATED | _DELETED | _DELETED_ITSELF | _MOVED_ITSELF
_OVER = _DELETED_ITSELF | _MOVED_ITSELF | _UNMOUNTED | _IGNORED
"""The directory was moved or removed, or is no longer watched."""


class Touched:
    """The `StoreWatch` port for one file. inotify does not see writes of other hosts on a shared file system."""

    def __init__(self, file: Path) -> None:
        self._name = os.fsencode(file.name)
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC)
        self._inotify = _open_inotify(file.parent)
        self._lock = threading.Lock()
        self._open = True

    def __enter__(self) -> Touched:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open = False
            self._close_inotify()
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def wait(self, at_most: float) -> None:
        """Return when the file may have changed, after `wake`, or after `at_most` seconds.

        Without inotify, return after `LOOK` seconds.
        """
        deadline = time.monotonic() + (at_most if self._inotify is not None else min(at_most, LOOK))
        while (left := deadline - time.monotonic()) > 0:
            ready = _ready([self._wake_reader] + ([self._inotify] if self._inotify is not None else []), left)
            if self._wake_reader in ready or (self._inotify in ready and self._has_changed()):
                return

    def wake(self) -> None:
        """End the current and all later waits. Safe from any thread."""
        with self._lock:
            if self._open:
                os.write(self._wake_writer, b"!")

    def _has_changed(self) -> bool:
        """Read the events and return True if the file or the whole directory may have changed."""
        assert self._inotify is not None
        events, at, changed = os.read(self._inotify, 1 << 16), 0, False
        while at < len(events):
            _, mask, _, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size
            name = events[at : at + length].rstrip(b"\0")
            at += length
            changed = changed or name in {b"", self._name}
            if mask & _OVER:
                self._close_inotify()
                return True
        return changed

    def _close_inotify(self) -> None:
        if self._inotify is not None:
            os.close(self._inotify)
            self._inotify = None


def _ready(files: list[int], seconds: float) -> set[int]:
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return {file for file, _ in poll.poll(seconds * 1000)}


def _open_inotify(directory: Path) -> int | None:
    """Return a descriptor for the events of a directory; None where inotify does not work."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        inotify: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if inotify >= 0:
            if libc.inotify_add_watch(inotify, os.fsencode(directory), ctypes.c_uint32(_WANTED)) >= 0:
                return inotify
            os.close(inotify)
    return None
