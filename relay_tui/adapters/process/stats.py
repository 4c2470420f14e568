"""Resource usage of all processes of a session."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from relay_tui.ports import Stats

_SECONDS = 1.0
_CHILDREN_KEPT = Path("/proc/thread-self/children").exists()


class ProcessStats:
    """One reading per second until the supervisor ends or the stream is closed. Implements StatsStream.

    All processes below the supervisor count, but not the supervisor. Network traffic is not measured for processes, and
    there are no limits, so the maximum is the machine's.
    """

    def __init__(self, supervisor: int) -> None:
        self._supervisor = supervisor
        self._closed = threading.Event()
        self._times: dict[tuple[int, float], float] = {}
        self._at = 0.0

    def __iter__(self) -> Iterator[Stats]:
        try:
            root = psutil.Process(self._supervisor)
            while not self._closed.is_set() and root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
                yield self._reading(_below(root))
                self._closed.wait(_SECONDS)
        except psutil.NoSuchProcess:
            return

    def _reading(self, processes: list[psutil.Process]) -> Stats:
        moment, before = time.monotonic(), self._at
        used, memory, times = 0.0, 0, {}
        for process in processes:
            try:
                with process.oneshot():
                    taken = sum(process.cpu_times()[:2])
                    key = (process.pid, process.create_time())
                memory += _memory(process)
            except psutil.Error:  # it ended just now
                continue
            times[key] = taken
            used += taken - self._times.get(key, 0.0)
        self._times, self._at = times, moment
        return Stats(
            at=time.time(),
            cpu=max(0.0, used / (moment - before)) if before else None,
            cpus=float(len(os.sched_getaffinity(0))),
            memory=memory,
            memory_limit=psutil.virtual_memory().total,
            pids=len(times),
        )

    def close(self) -> None:
        """Close the stream and end an iteration that waits in another thread."""
        self._closed.set()


def _below(root: psutil.Process) -> list[psutil.Process]:
    """Return all descendants: from the kernel's lists of children if available, else by reading every process."""
    found: list[psutil.Process] = []
    if not _CHILDREN_KEPT:
        found += root.children(recursive=True)
        return found
    waiting = [root.pid]
    for pid in waiting:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError, psutil.NoSuchProcess):  # it ended just now
                children = [*map(int, task.read_text().split())]
                found += map(psutil.Process, children)
                waiting += children
    return found


def _memory(process: psutil.Process) -> int:
    """Return the proportional memory of a process. Shared pages are divided among their users."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
