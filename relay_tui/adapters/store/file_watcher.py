"""Notices that a file is another: the kernel tells, by inotify(7); where it cannot, somebody looks now and then."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

LOOK = 0.8  # seconds between looks where nobody tells
_EVENT = struct.Struct("iIII")  # watch, what happened, cookie, length of the name that follows
_WRITTEN, _ATTRIBUTES, _MOVED_FROM, _MOVED_TO, _CREATED, _DELETED = 0x8, 0x4, 0x40, 0x80, 0x100, 0x200
_DELETED_ITSELF, _MOVED_ITSELF, _UNMOUNTED, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_WANTED = _WRITTEN | _ATTRIBUTES | _MOVED_FROM | _MOVED_TO | _CREATED | _DELETED | _DELETED_ITSELF | _MOVED_ITSELF
_OVER = _DELETED_ITSELF | _MOVED_ITSELF | _UNMOUNTED | _IGNORED
"""The directory is no longer where it was, or no longer watched."""


class FileWatcher:
    """Fulfils StoreWatch for one file. What machines that share its file system write is seen by a look alone."""

    def __init__(self, file: Path) -> None:
        self._name = os.fsencode(file.name)
        self._ear, self._bell = os.pipe2(os.O_CLOEXEC)
        self._kernel = _watched(file.parent)
        self._lock = threading.Lock()
        self._open = True

    def __enter__(self) -> FileWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open = False
            self._let_go()
            os.close(self._ear)
            os.close(self._bell)

    def wait(self, at_most: float) -> None:
        """Return when the file was touched, when woken, or after so many seconds; sooner, where nobody tells."""
        deadline = time.monotonic() + (at_most if self._kernel is not None else min(at_most, LOOK))
        while (left := deadline - time.monotonic()) > 0:
            ready = _ready([self._ear] + ([self._kernel] if self._kernel is not None else []), left)
            if self._ear in ready or (self._kernel in ready and self._is_about_it()):
                return

    def wake(self) -> None:
        """End the wait, now and for ever; any thread may."""
        with self._lock:
            if self._open:
                os.write(self._bell, b"!")

    def _is_about_it(self) -> bool:
        """Take what the kernel tells; whether the file may be another, or the whole directory."""
        assert self._kernel is not None
        told, at, about = os.read(self._kernel, 1 << 16), 0, False
        while at < len(told):
            _, what, _, length = _EVENT.unpack_from(told, at)
            at += _EVENT.size
            name = told[at : at + length].rstrip(b"\0")
            at += length
            about = about or name in {b"", self._name}
            if what & _OVER:
                self._let_go()
                return True
        return about

    def _let_go(self) -> None:
        if self._kernel is not None:
            os.close(self._kernel)
            self._kernel = None


def _ready(files: list[int], seconds: float) -> set[int]:
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return {file for file, _ in poll.poll(seconds * 1000)}


def _watched(directory: Path) -> int | None:
    """What the kernel tells of a directory is read here; None where it tells nothing."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        told: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if told >= 0:
            if libc.inotify_add_watch(told, os.fsencode(directory), ctypes.c_uint32(_WANTED)) >= 0:
                return told
            os.close(told)
    return None
