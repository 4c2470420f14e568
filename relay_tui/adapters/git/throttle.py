"""Throttle for progress reports."""

from __future__ import annotations

import time
from collections.abc import Callable

from relay_tui.ports.task import TaskContext

_INTERVAL = 0.05  # seconds between two reports of one stage


class ProgressThrottle:
    """Passes on at most 20 reports a second of one stage, and always its last one."""

    def __init__(self, task: TaskContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._task = task
        self._clock = clock
        self._held: tuple[str, float | None, str] | None = None
        self._stage = ""
        self._due = 0.0

    def stage(self, stage: str, fraction: float | None, detail: str) -> None:
        """Report now, or hold the report until a later one replaces it or the stage ends."""
        if stage != self._stage:
            self.flush()
            self._stage, self._due = stage, 0.0
        if self._clock() < self._due:
            self._held = (stage, fraction, detail)
            return
        self._held = None
        self._due = self._clock() + _INTERVAL
        self._task.report(stage, fraction, detail)

    def flush(self) -> None:
        """Pass on the report that is held."""
        held, self._held = self._held, None
        if held is not None:
            self._task.report(*held)
