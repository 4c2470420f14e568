"""Processes in /proc, identified by pid and start time, because the kernel reuses pids."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "RELAY_RUN"
"""The variable that tells the processes of one run from all others."""


def boot() -> str:
    """Return the boot id. Start times are relative to the boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """Return a process's start time in ticks since boot; None if it does not exist or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: object, start: object, booted: object) -> bool:
    """Return whether the process with this pid, start time and boot id still runs."""
    return isinstance(pid, int) and pid > 0 and booted == boot() and start is not None and start_time(pid) == start


def descendants(root: int) -> list[int]:
    """Return every descendant of `root`, zombies included."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for pid in _pids():
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            yield pid, int(stat[stat.rindex(b")") + 2 :].split()[1])


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def marked(token: str) -> list[int]:
    """Return this user's processes with a run's marker in their initial environment."""
    wanted = f"{MARK}={token}".encode()
    found = []
    for pid in _pids():
        with suppress(OSError):
            if pid != os.getpid() and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def find_survivors(token: str, directory: Path) -> list[int]:
    """Return processes that outlived a run's supervisor and launcher, found by the directory in their arguments.

    While the launcher lives, it ends them itself.
    """
    found = [pid for pid in marked(token) if start_time(pid) is not None]
    return [] if found and _is_argument(os.fsencode(directory)) else found


def _is_argument(words: bytes) -> bool:
    for pid in _pids():
        with suppress(OSError):
            if words in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") and start_time(pid) is not None:
                return True
    return False


def terminate_marked(token: str, grace: float) -> None:
    """Terminate the remaining processes of a run, then kill them."""
    for pid in marked(token):
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(start_time(pid) is not None for pid in marked(token)):
        time.sleep(0.02)
    kill_marked(token)


def kill_marked(token: str) -> None:
    """Kill the remaining processes of a run. A process that cleared its environment is not found."""
    for _ in range(50):  # what forks while we look is found by the next look
        left = [pid for pid in marked(token) if start_time(pid) is not None]
        if not left:
            return
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
