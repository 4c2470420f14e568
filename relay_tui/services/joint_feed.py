"""The logs of several sessions as one, by time, each line with its session's name."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay_tui.services.log_feed import LogFeed
from relay_tui.services.log_source import LogSource
from relay_tui.services.ports import LogBatch
from relay_tui.services.ports.log import TIMELESS, packed
from relay_tui.text import clean

HOLD = 0.2  # seconds that lines are gathered before they are put in order: about what one log lags behind another
FIRST_HOLD = 0.6  # the same for the beginnings, which come from every log at once
MOST = 64
"""How many logs are followed at once."""
_NAME = 24  # characters of a name, at most
_PALETTE = (32, 33, 34, 35, 36, 92, 93, 94, 95, 96)  # of the terminal's 16 colours those that are read on any ground


@dataclass(frozen=True, slots=True)
class Voice:
    """One of the logs: a session's id and name, and its container."""

    session_id: str
    name: str
    container_id: str


class JointFeed:
    """Follows them all. `wake` is called in another thread when there is something to drain."""

    def __init__(
        self,
        source: LogSource,
        voices: Sequence[Voice],
        wake: Callable[[], None],
        *,
        tail: int,
        since: str = "",
        hold: tuple[float, float] = (FIRST_HOLD, HOLD),
    ) -> None:
        self._wake = wake
        self._hold = hold
        self._closed = threading.Event()
        self._stirred = threading.Event()
        self._ready: list[LogBatch] = []
        self._lock = threading.Lock()
        chosen = voices[:MOST]
        width = min(_NAME, max((len(clean(voice.name)) for voice in chosen), default=0))
        self._feeds: list[tuple[bytes, LogFeed]] = [
            (label(voice, width), source.follow(voice.container_id, self._stirred.set, tail=tail, since=since))
            for voice in chosen
        ]
        threading.Thread(target=self._run, name="joint log", daemon=True).start()

    def _run(self) -> None:
        hold, then = self._hold
        while True:
            self._stirred.wait()
            if self._closed.wait(hold):
                return
            hold = then
            self._stirred.clear()
            merged = interleave([(name, batch) for name, feed in self._feeds for batch in feed.drain()])
            if merged:
                with self._lock:
                    self._ready.append(merged)
            self._wake()

    def drain(self) -> list[LogBatch]:
        """Everything put in order since the last drain."""
        with self._lock:
            ready, self._ready = self._ready, []
        return ready

    @property
    def ended(self) -> int:
        """How many of the logs have ended."""
        return sum(feed.status.ended for _, feed in self._feeds)

    def __len__(self) -> int:
        return len(self._feeds)

    def close(self) -> None:
        """Stop following; `wake` is not called any more."""
        self._closed.set()
        self._stirred.set()
        for _, feed in self._feeds:
            feed.close()


def colour(session_id: str) -> int:
    """The SGR number of a session's colour: always the same, on every machine."""
    return _PALETTE[zlib.crc32(session_id.encode()) % len(_PALETTE)]


def label(voice: Voice, width: int) -> bytes:
    """What stands before each of its lines: its name in its colour, as wide as the others'."""
    name = clean(voice.name, limit=_NAME)
    return f"\x1b[{colour(voice.session_id)}m{name:<{width}}\x1b[0m ".encode()


def interleave(parts: Sequence[tuple[bytes, LogBatch]]) -> LogBatch:
    """The lines of all batches by their times, each behind its label; a line without a time follows the one before."""
    found: list[tuple[bytes, int, bytes, int]] = []
    last: dict[bytes, bytes] = {}
    for name, batch in parts:
        for index in range(len(batch)):
            time, text = batch.parts(index)
            flags = batch.flags[index] if time else batch.flags[index] | TIMELESS
            line = time + b" " + name + text if time else name + text
            last[name] = time or last.get(name, b"")
            found.append((last[name], len(found), line, flags))
    found.sort()
    return packed([line for _, _, line, _ in found], bytes(flags for *_, flags in found))
