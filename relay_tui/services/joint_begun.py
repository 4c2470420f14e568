"""A line of one log among several whose end has not come: a prompt, a bar that rewrites itself.

It is shown once it stood for as long as lines wait for each other, and goes when its whole line comes out of that.
"""

from __future__ import annotations

from relay_tui.services.ports import LogBatch
from relay_tui.services.ports.log import NOTHING


class Begun:
    """What one log has begun, on any clock that runs evenly."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._came: float | None = None
        self._ended: float | None = None
        self.shown: LogBatch = NOTHING
        """What is to be seen of it now."""

    def look(self, lines: LogBatch, now: float) -> None:
        """These are begun now."""
        if lines:
            self._ended = None
            self._came = now if self._came is None else self._came
            if now - self._came >= self._hold:
                self.shown = lines
            return
        self._came = None
        if self.shown:
            self._ended = now if self._ended is None else self._ended
            if now - self._ended >= self._hold:
                self.shown, self._ended = NOTHING, None

    @property
    def waits(self) -> bool:
        """Whether it will be seen otherwise by and by."""
        return self._ended is not None or (self._came is not None and not self.shown)
