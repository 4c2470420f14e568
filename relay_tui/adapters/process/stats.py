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
    """A reading a second until the supervisor ends or it is closed; fulfils StatsStream.

    The processes are those below the supervisor, which is not counted itself. What they send and receive nobody counts
    for a process, and no limit holds: what they may use is all that the machine has.
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
        """End it, and an iteration that waits in another thread."""
        self._closed.set()


def _below(root: psutil.Process) -> list[psutil.Process]:
    """Its children, theirs, and so on: as the kernel keeps them, or, where it does not, by a look at every process."""
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
    """Its share of what it has in memory: what several have in common counts once among them."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
