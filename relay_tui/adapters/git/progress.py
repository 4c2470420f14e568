"""Parse git's progress lines. This module imports GitPython, so it is imported when the first progress line arrives."""

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
_LOCAL_NAMES = {
    RemoteProgress.COUNTING: "Counting objects",
    RemoteProgress.COMPRESSING: "Compressing objects",
    RemoteProgress.WRITING: "Writing objects",
}
"""Stages of the local git. Their lines do not begin with "remote:"."""
_OTHER_STAGES = re.compile(r"^(Updating files|Filtering content|Downloading LFS objects):\s+(\d+)% \((\d+)/(\d+)\)(.*)")
"""Stages that GitPython does not know."""

_DECIMALS = re.compile(r"(\d+\.\d)\d\b")


class ProgressParser(RemoteProgress):
    """GitPython's parser with relay's stage names. It reports to a throttle."""

    def __init__(self, throttle: ProgressThrottle, prefix: str = "") -> None:
        super().__init__()
        self._throttle = throttle
        self._prefix = prefix

    def update(
        self, op_code: int, cur_count: str | float, max_count: str | float | None = None, message: str = ""
    ) -> None:
        """Report a line that the parser knows."""
        stage = op_code & self.OP_MASK
        names = _NAMES if (self._cur_line or "").startswith("remote:") else _NAMES | _LOCAL_NAMES
        self._report(names.get(stage, "Working"), float(cur_count), float(max_count or 0), message)

    def line_dropped(self, line: str) -> None:
        """Report a line of a stage that only relay knows."""
        if match := _OTHER_STAGES.match(line):
            self._report(match[1], float(match[3]), float(match[4]), match[5].removesuffix("done.").strip(", "))

    def _report(self, stage: str, done: float, total: float, message: str) -> None:
        detail = _DECIMALS.sub(r"\1", message.replace(" | ", " at "))
        if not detail:
            detail = f"{done:.0f} of {total:.0f}" if total else f"{done:.0f}"
        self._throttle.stage(self._prefix + stage, done / total if total else None, detail)
