"""Reasons for a kill: the kernel was out of memory, or the machine was shut down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relay_tui.adapters.linux import procfs

_VMSTAT = Path("/proc/vmstat")
_KILLED, _SIGKILL = 137, "SIGKILL"


def oom_kill_count() -> int | None:
    """Return the number of out-of-memory kills since boot; None if the kernel does not report it."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def kill_reason(state: Mapping[str, Any], *, lost: bool) -> str:
    """Return the reason for a kill as a sentence; '' if unknown. Only root can see which process the kernel killed.

    `state` has the count at the start (`kills_before`) and, if it was there to the end, the one then (`kills_after`).
    """
    if lost and state.get("boot") != procfs.boot():
        return "The machine was restarted."
    if not lost and (state.get("status") != "exited" or not _was_killed(state)):
        return ""
    before, after = state.get("kills_before"), oom_kill_count() if lost else state.get("kills_after")
    if not isinstance(before, int) or not isinstance(after, int) or after < before:
        return ""
    count = after - before
    if count:
        some = "a process" if count == 1 else f"{count} processes"
        return f"While it ran, the kernel killed {some} here for want of memory: it may have been one of its own."
    return "Not for want of memory: the kernel killed nothing here while it ran."


def _was_killed(state: Mapping[str, Any]) -> bool:
    return state.get("signal") == _SIGKILL or state.get("exit_code") == _KILLED
