"""The kernel's keyrings: a session has none of the keys that lie in that of whoever started it."""

from __future__ import annotations

import ctypes
import platform

_KEYCTL = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING = 1


def leave_behind() -> bool:
    """Join a session keyring that is new and empty; whether the kernel did. Everything started from now on is in it."""
    number = _KEYCTL.get(platform.machine())
    if number is None:
        return False
    return int(ctypes.CDLL(None).syscall(number, _JOIN_SESSION_KEYRING, None)) > 0
