"""Memory that is free, and that the allocator keeps for itself."""

from __future__ import annotations

import threading
from contextlib import suppress

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def limit_malloc_arenas() -> None:
    """Let threads that are started from now on allocate where the first one does, where the C library can do that.

    Only one of them runs at a time, yet each would keep a heap of its own.
    """
    import ctypes  # the first paint needs none

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def release_free_memory() -> None:
    """Have it returned to the system, in the background; where the C library cannot do that, it stays."""
    threading.Thread(target=_trim, name="give memory back", daemon=True).start()


def _trim() -> None:
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
