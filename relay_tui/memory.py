"""Limit and release the memory that the C allocator keeps."""

from __future__ import annotations

import threading
from contextlib import suppress

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def limit_malloc_arenas() -> None:
    """Make all threads use one malloc arena, if the C library supports it.

    Python runs one thread at a time, but each thread would keep an arena of its own.
    """
    import ctypes  # not imported before the first paint

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def release_free_memory() -> None:
    """Return free memory to the system in the background, if the C library supports it."""
    threading.Thread(target=_trim, name="release memory", daemon=True).start()


def _trim() -> None:
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
