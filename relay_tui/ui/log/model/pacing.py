"""Throttle for drawing new log lines: often if drawing is cheap, rarely if it is expensive, and after keys."""

from __future__ import annotations

LEAST = 0.08  # seconds between two drawings: a flood reads no worse, and keys find the screen free
MOST = 0.25  # seconds that lines wait at most
SHARE = 3  # pause between drawings, as a multiple of the drawing time: two thirds of the time remain for other work
GATHER = 0.008  # seconds that the first lines of a log wait for the rest of its end, which comes in pieces
KEY = 0.04  # seconds that a key has for what it does, before anything is drawn that only came


class RedrawThrottle:
    """Times of drawings, on any clock that runs evenly."""

    def __init__(self) -> None:
        self._began = self._took = 0.0
        self._wanted: float | None = None
        self._opened: float | None = None

    def restart(self) -> None:
        """Another log: its first lines are drawn at once."""
        self._began = self._took = 0.0
        self._wanted = self._opened = None

    def open(self, now: float) -> None:
        """Another log, whose end comes in a moment: it is drawn as soon as it is there."""
        self.restart()
        self._opened = now

    def due(self, now: float, key_at: float, *, whole: bool = False) -> float:
        """Seconds until the lines that wait are to be drawn, 0 or less: now.

        `key_at`: when a key was last pressed. `whole`: they are all that a log is opened with.
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
        """The lines are handed over for drawing."""
        self._began, self._wanted = now, None

    def end(self, now: float) -> None:
        """They are on the screen."""
        self._took = now - self._began
