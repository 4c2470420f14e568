"""Memory that was freed, and that the allocator keeps for itself."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress


def give_back() -> None:
    """Have it returned to the system, in the background; where the C library cannot do that, it stays."""
    threading.Thread(target=_trim, name="give memory back", daemon=True).start()


def _trim() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
