"""When a log's new lines are drawn: often while that costs little, seldom while it costs much, and after keys."""

from __future__ import annotations

LEAST = 0.05  # seconds between two drawings
MOST = 0.25  # seconds that lines wait at most
SHARE = 3  # of a drawing's own time lies between it and the next, so that two thirds are for everything else
KEY = 0.04  # seconds that a key has for what it does, before anything is drawn that only came


class Pace:
    """Times of drawings, on any clock that runs evenly."""

    def __init__(self) -> None:
        self._began = self._took = 0.0
        self._wanted: float | None = None

    def due(self, now: float, key_at: float) -> float:
        """Seconds until the lines that wait are to be drawn, 0 or less: now. `key_at`: when a key was last pressed."""
        if self._wanted is None:
            self._wanted = now
        paced = self._began + max(LEAST, min(SHARE * self._took, MOST))
        return min(max(paced, key_at + KEY), max(paced, self._wanted + MOST)) - now

    def begin(self, now: float) -> None:
        """The lines are handed over for drawing."""
        self._began, self._wanted = now, None

    def end(self, now: float) -> None:
        """They are on the screen."""
        self._took = now - self._began

    def restart(self) -> None:
        """Another log: its first lines are drawn at once."""
        self._began = self._took = 0.0
        self._wanted = None
