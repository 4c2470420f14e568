"""Resource usage of running sessions. One daemon thread reads each session that is shown, and no other."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from relay_tui.domain.errors import RelayError

if TYPE_CHECKING:
    from relay_tui.ports import Runtime, Stats, StatsStream

log = logging.getLogger(__name__)

KEPT = 60
"""Readings kept for each session: about a minute."""
MOST = 64
"""Sessions that are read at the same time, at most."""
ALIKE = 20
"""Equal readings, after which more are not announced: their drawing would not differ."""
NAP = 4.2
"""Seconds between two reads of a session with equal readings; new readings come once a second.

The readings of the pause are read together.
"""
EVERY = 1.0  # seconds between two readings
_LITTLE = 256 << 10  # bytes of memory: changes below it also occur in an idle session
PATIENCE = 5.0  # seconds before a failed reader is started again


class StatsFeed:
    """Reads the requested sessions. `wake` is called, in a reader's thread, for new readings and for an ended reader.

    It is called at most every `pace` seconds, and not for equal readings, because each call causes a redraw.
    """

    pace = 0.0

    def __init__(
        self, runtime: Runtime, wake: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runtime = runtime
        self._wake = wake
        self._clock = clock
        self._woke_at = float("-inf")
        self._readers: dict[str, _Reader] = {}

    def want(self, running: Mapping[str, str]) -> None:
        """Set the sessions to read: container ids by session id, the most important first."""
        chosen = dict(list(running.items())[:MOST])
        for key in [key for key, reader in self._readers.items() if chosen.get(key) != reader.container_id]:
            self._readers.pop(key).close()
        for key, container_id in chosen.items():
            reader = self._readers.get(key)
            if reader is None or reader.over_since(self._clock() - PATIENCE):
                self._woke_at = float("-inf")  # the first readings are announced at once
                self._readers[key] = _Reader(self._runtime, container_id, self._announce, self._clock)

    def _announce(self, ended: bool) -> None:
        """Call `wake` if it is due. Several threads at the same time may each call it."""
        now = self._clock()
        if ended or now - self._woke_at >= self.pace:
            self._woke_at = now
            self._wake()

    def retry(self) -> None:
        """Restart failed readers with the next want(), because the engine is reachable again."""
        now = self._clock()
        self._readers = {key: reader for key, reader in self._readers.items() if not reader.over_since(now)}

    def history(self, session_id: str) -> tuple[Stats, ...]:
        """Return the latest readings of a requested session, the oldest first; () if there are none yet."""
        reader = self._readers.get(session_id)
        return reader.history if reader is not None else ()

    def error(self, session_id: str) -> RelayError | None:
        """Return why a requested session has no readings; None if it has or waits for the first."""
        reader = self._readers.get(session_id)
        return reader.error if reader is not None else None

    def close(self) -> None:
        """Stop reading."""
        self.want({})


def _draw_alike(one: Stats, other: Stats) -> bool:
    """Return whether the two readings look the same when drawn. The kernel changes the memory of an idle session."""
    least = max(_LITTLE, (one.memory or 0) / 100)
    return (
        _is_near(one.cpu, other.cpu, 0.005)
        and _is_near(one.memory, other.memory, least)
        and _is_near(one.received, other.received, 1.0)
        and _is_near(one.sent, other.sent, 1.0)
        and replace(other, at=one.at, cpu=one.cpu, memory=one.memory, received=one.received, sent=one.sent) == one
    )


def _is_near(one: float | None, other: float | None, least: float) -> bool:
    return one == other if one is None or other is None else abs(one - other) < least


class _Reader:
    """Reader of one container."""

    def __init__(
        self, runtime: Runtime, container_id: str, announce: Callable[[bool], None], clock: Callable[[], float]
    ) -> None:
        self.container_id = container_id
        self.error: RelayError | None = None
        self._runtime = runtime
        self._announce = announce
        self._clock = clock
        self._readings: deque[Stats] = deque(maxlen=KEPT)
        self._like: Stats | None = None  # the first of a series of equal readings
        self._alike = 0  # length of the series after the first
        self._lock = threading.Lock()
        self._stream: StatsStream | None = None
        self._closed = threading.Event()
        self._over: float | None = None
        threading.Thread(target=self._read, name=f"stats {container_id[:12]}", daemon=True).start()

    @property
    def history(self) -> tuple[Stats, ...]:
        """The latest readings, the oldest first; none after the reader ended."""
        with self._lock:
            return tuple(self._readings)

    def over_since(self, moment: float) -> bool:
        """Return whether the reader ended by itself, at `moment` or before."""
        return self._over is not None and self._over <= moment

    def _read(self) -> None:
        try:
            stream = self._runtime.stats(self.container_id)
            with self._lock:
                self._stream = stream
                if self._closed.is_set():
                    stream.close()
                    return
            ahead = float("-inf")  # difference between the clock of the readings and relay's clock
            for stats in stream:
                with self._lock:
                    if self._like is None or not _draw_alike(self._like, stats):
                        self._like, self._alike = stats, 0
                    else:
                        self._alike += 1
                    self._readings.append(stats)
                ahead = max(ahead, stats.at - self._clock())
                if self._alike < ALIKE:
                    self._publish(ended=False)
                    continue
                if self._clock() + ahead - stats.at < EVERY:  # no reading is waiting
                    self._closed.wait(NAP)
        except RelayError as error:
            self.error = error
            log.debug("no readings of %s: %s: %s", self.container_id[:12], error.title, error.detail)
        with self._lock:
            self._readings.clear()
        self._over = self._clock()
        self._publish(ended=True)

    def _publish(self, *, ended: bool) -> None:
        if not self._closed.is_set():
            self._announce(ended)

    def close(self) -> None:
        """Stop reading and announcing."""
        with self._lock:
            self._closed.set()
            stream = self._stream
        if stream is not None:
            stream.close()
