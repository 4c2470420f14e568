"""Throttle for drawing new log lines: often if drawing is cheap, rarely if it is expensive, and after keys."""

from __future__ import annotations

LEAST = 0.08  # seconds between two draws: fast output is as readable, and the screen is free for keys
MOST = 0.25  # seconds that lines wait at most
SHARE = 3  # pause between draws, as a multiple of the draw time: two thirds of the time remain for other work
GATHER = 0.008  # seconds that the first lines of a log wait for the rest of its tail, which arrives in several batches
KEY = 0.04  # seconds reserved for a key's effect before new lines are drawn


class RedrawThrottle:
    """Draw times, on any monotonic clock."""

    def __init__(self) -> None:
        self._began = self._took = 0.0
        self._wanted: float | None = None
        self._opened: float | None = None

    def restart(self) -> None:
        """Start with another log, and draw its first lines at once."""
        self._began = self._took = 0.0
        self._wanted = self._opened = None

    def open(self, now: float) -> None:
        """Start with another log whose tail arrives in a moment, and draw the tail as soon as it is complete."""
        self.restart()
        self._opened = now

    def due(self, now: float, key_at: float, *, whole: bool = False) -> float:
        """Return the seconds until the waiting lines must be drawn; 0 or less means now.

        `key_at` is the time of the last key. `whole`: the waiting lines are the complete tail of a new log.
        """
        if self._wanted is None:
            self._wanted = now
        if not self._began and self._opened is not None:
            return 0.0 if whole else self._wanted + GATHER - now
        paced = self._began + max(LEAST, min(SHARE * self._took, MOST))
        return min(max(paced, self.counts(key_at) + KEY), max(paced, self._wanted + MOST)) - now

    def counts(self, key_at: float) -> float:
        """Return the time of the last key for this log. The key that opened the log does not count."""
        return key_at if self._opened is None or key_at > self._opened else 0.0

    def begin(self, now: float) -> None:
        """Record the start of a draw."""
        self._began, self._wanted = now, None

    def end(self, now: float) -> None:
        """Record the end of a draw."""
        self._took = now - self._began
