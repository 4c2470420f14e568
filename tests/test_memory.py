"""Allocator settings, read from another process: they persist."""

from __future__ import annotations

import subprocess
import sys

import pytest

from relay_tui import memory

THREADS = """
import ctypes, threading
from relay_tui import memory
{before}
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
all_there = threading.Barrier(4)
def allocate():
    libc.malloc(10_000)
    all_there.wait(30)
threads = [threading.Thread(target=allocate) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.parametrize(("before", "shared"), [("", False), (f"memory.{memory.limit_malloc_arenas.__name__}()", True)])
def test_threads_have_no_heaps_of_their_own(before: str, shared: bool) -> None:
    ran = subprocess.run(
        (sys.executable, "-c", THREADS.format(before=before)), capture_output=True, text=True, check=True, timeout=60
    )
    assert (ran.stdout.count("<heap nr=") == 1) is shared
