"""git's progress lines as stages. Imports GitPython, so it is itself imported when the first such line arrives."""

from __future__ import annotations

import re

from git import RemoteProgress

from relay_tui.adapters.git.throttle import ProgressThrottle

_NAMES = {
    RemoteProgress.COUNTING: "Counting on the remote side",
    RemoteProgress.COMPRESSING: "Compressing on the remote side",
    RemoteProgress.FINDING_SOURCES: "Counting on the remote side",
    RemoteProgress.RECEIVING: "Receiving objects",
    RemoteProgress.RESOLVING: "Resolving deltas",
    RemoteProgress.CHECKING_OUT: "Updating files",
}
_HERE = {
    RemoteProgress.COUNTING: "Counting objects",
    RemoteProgress.COMPRESSING: "Compressing objects",
    RemoteProgress.WRITING: "Writing objects",
}
"""What git does itself, not the remote: its lines do not begin with the remote's mark."""
_OTHER = re.compile(r"^(Updating files|Filtering content|Downloading LFS objects):\s+(\d+)% \((\d+)/(\d+)\)(.*)")
"""Stages newer than GitPython's table."""

_DECIMALS = re.compile(r"(\d+\.\d)\d\b")


class ProgressParser(RemoteProgress):
    """GitPython's parser, reporting to a Pace in relay's words."""

    def __init__(self, pace: ProgressThrottle, prefix: str = "") -> None:
        super().__init__()
        self._pace = pace
        self._prefix = prefix

    def update(
        self, op_code: int, cur_count: str | float, max_count: str | float | None = None, message: str = ""
    ) -> None:
        """Called by the parser for each line it knows."""
        stage = op_code & self.OP_MASK
        names = _NAMES if (self._cur_line or "").startswith("remote:") else _NAMES | _HERE
        self._report(names.get(stage, "Working"), float(cur_count), float(max_count or 0), message)

    def line_dropped(self, line: str) -> None:
        """Called by the parser for each line it does not know."""
        if match := _OTHER.match(line):
            self._report(match[1], float(match[3]), float(match[4]), match[5].removesuffix("done.").strip(", "))

    def _report(self, stage: str, done: float, total: float, message: str) -> None:
        detail = _DECIMALS.sub(r"\1", message.replace(" | ", " at "))
        if not detail:
            detail = f"{done:.0f} of {total:.0f}" if total else f"{done:.0f}"
        self._pace.stage(self._prefix + stage, done / total if total else None, detail)
