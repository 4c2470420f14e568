"""What running sessions take: one daemon thread reads for each that is looked at, and none for the others."""

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
"""Readings kept of each: about a minute."""
MOST = 64
"""How many are read at once, whatever is wanted."""
ALIKE = 20
"""Readings that say the same, after which more of them are not told: nothing that is drawn of them differs."""
NAP = 4.2
"""Seconds between two looks at what goes on as it was: a little more than it takes readings to come, one a second.

What came meanwhile is read together.
"""
EVERY = 1.0  # seconds between two readings
_LITTLE = 256 << 10  # bytes of memory, by which a session that sleeps changes
PATIENCE = 5.0  # seconds before a reading that failed is begun again


class StatsFeed:
    """Reads what is wanted. `wake` is called, in a reader's thread, when there are new readings, or one ended.

    Not oftener than every `pace` seconds, though, and not of what goes on as it was: each call is work.
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
        """Read these from now on, and nothing else: container ids by session id, the most important first."""
        chosen = dict(list(running.items())[:MOST])
        for key in [key for key, reader in self._readers.items() if chosen.get(key) != reader.container_id]:
            self._readers.pop(key).close()
        for key, container_id in chosen.items():
            reader = self._readers.get(key)
            if reader is None or reader.over_since(self._clock() - PATIENCE):
                self._woke_at = float("-inf")  # the first figures are told at once
                self._readers[key] = _Reader(self._runtime, container_id, self._tell, self._clock)

    def _tell(self, ended: bool) -> None:
        """A reader has something; of several threads that find it due at once each may tell."""
        now = self._clock()
        if ended or now - self._woke_at >= self.pace:
            self._woke_at = now
            self._wake()

    def retry(self) -> None:
        """Begin again what broke off with the next `want`: the engine is back."""
        now = self._clock()
        self._readers = {key: reader for key, reader in self._readers.items() if not reader.over_since(now)}

    def history(self, session_id: str) -> tuple[Stats, ...]:
        """The last readings of a session that is wanted, the oldest first; () where there is none (yet)."""
        reader = self._readers.get(session_id)
        return reader.history if reader is not None else ()

    def error(self, session_id: str) -> RelayError | None:
        """Why there are no readings of a session that is wanted."""
        reader = self._readers.get(session_id)
        return reader.error if reader is not None else None

    def close(self) -> None:
        """Stop reading."""
        self.want({})


def _alike(one: Stats, other: Stats) -> bool:
    """Whether nobody could tell what is drawn of the two apart: a kernel that tidies up moves memory by a little."""
    least = max(_LITTLE, (one.memory or 0) / 100)
    return (
        _near(one.cpu, other.cpu, 0.005)
        and _near(one.memory, other.memory, least)
        and _near(one.received, other.received, 1.0)
        and _near(one.sent, other.sent, 1.0)
        and replace(other, at=one.at, cpu=one.cpu, memory=one.memory, received=one.received, sent=one.sent) == one
    )


def _near(one: float | None, other: float | None, least: float) -> bool:
    return one == other if one is None or other is None else abs(one - other) < least


class _Reader:
    """The readings of one container."""

    def __init__(
        self, runtime: Runtime, container_id: str, tell: Callable[[bool], None], clock: Callable[[], float]
    ) -> None:
        self.container_id = container_id
        self.error: RelayError | None = None
        self._runtime = runtime
        self._tell = tell
        self._clock = clock
        self._readings: deque[Stats] = deque(maxlen=KEPT)
        self._like: Stats | None = None  # the first of those that say the same
        self._alike = 0  # how many more there are
        self._lock = threading.Lock()
        self._stream: StatsStream | None = None
        self._closed = threading.Event()
        self._over: float | None = None
        threading.Thread(target=self._read, name=f"stats {container_id[:12]}", daemon=True).start()

    @property
    def history(self) -> tuple[Stats, ...]:
        """The last readings, the oldest first; none of what has ended."""
        with self._lock:
            return tuple(self._readings)

    def over_since(self, moment: float) -> bool:
        """Whether it ended by itself, at that moment or before."""
        return self._over is not None and self._over <= moment

    def _read(self) -> None:
        try:
            stream = self._runtime.stats(self.container_id)
            with self._lock:
                self._stream = stream
                if self._closed.is_set():
                    stream.close()
                    return
            ahead = float("-inf")  # of our clock, the one that readings are stamped by
            for stats in stream:
                with self._lock:
                    if self._like is None or not _alike(self._like, stats):
                        self._like, self._alike = stats, 0
                    else:
                        self._alike += 1
                    self._readings.append(stats)
                ahead = max(ahead, stats.at - self._clock())
                if self._alike < ALIKE:
                    self._publish(ended=False)
                    continue
                if self._clock() + ahead - stats.at < EVERY:  # none waits
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
            self._tell(ended)

    def close(self) -> None:
        """Stop reading, and tell nothing any more."""
        with self._lock:
            self._closed.set()
            stream = self._stream
        if stream is not None:
            stream.close()
