"""Landlock by system calls: restrict which files a thread and the programs it starts may open.

The kernel documents it in Documentation/userspace-api/landlock.rst. A rule set applies permanently to the thread that
restricts itself and to programs it starts. This file imports nothing of relay, because sandboxes contain nothing else
of it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST_ABI = (1 << 13) - 1
_LATER = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer, truncate, device ioctl
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
_TCP = 0b11  # bind, connect: from ABI 4
_ABSTRACT, _SIGNALS = 0b01, 0b10
_SCOPES_SINCE = 6

READ = READ_FILE | READ_DIR
READ_EXECUTE = READ | EXECUTE
EVERYTHING = (1 << 16) - 1


class _RuleSet(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Return the kernel's Landlock version; 0 if it is missing or disabled."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def rules(allowed: Mapping[Path, int], version: int) -> int:
    """Create a rule set that allows only `allowed`: path → rights below it. The caller closes it.

    Missing paths are left out. TCP, signals and abstract sockets to the outside are denied.
    """
    handled = _FIRST_ABI
    for since, right in _LATER.items():
        handled |= right if version >= since else 0
    attributes = _RuleSet(handled, _TCP if version >= 4 else 0, _ABSTRACT | _SIGNALS if version >= _SCOPES_SINCE else 0)
    size = 8 if version < 4 else 16 if version < _SCOPES_SINCE else 24
    descriptor = _call(_CREATE, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path, rights in allowed.items():
            _allow(descriptor, path, rights & handled)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def restrict_thread(descriptor: int) -> None:
    """Restrict the calling thread by a rule set permanently."""
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    _call(_RESTRICT, ctypes.c_int(descriptor), ctypes.c_uint32(0))


def scope_abstract_sockets() -> bool:
    """Block abstract unix sockets of other processes for the calling thread; return whether the kernel supports it."""
    if abi() < _SCOPES_SINCE:
        return False
    attributes = _RuleSet(0, 0, _ABSTRACT)
    try:
        ruleset = _call(_CREATE, ctypes.byref(attributes), ctypes.c_size_t(24), ctypes.c_uint32(0))
        try:
            restrict_thread(ruleset)
        finally:
            os.close(ruleset)
    except OSError:
        return False
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            of_file = rights if path.is_dir() else rights & _OF_FILES
            rule = _PathBeneath(of_file, descriptor)
            _call(_ADD, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return answer
