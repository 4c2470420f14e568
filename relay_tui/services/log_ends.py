"""Ends of a container's earlier runs, put among the lines that were read, each at its place by time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from relay_tui.errors import RelayError
from relay_tui.services.log_join import comparable, oldest_edge
from relay_tui.services.log_words import FeedStatus, ending
from relay_tui.services.ports import LogBatch, Runtime
from relay_tui.services.ports.log import NOTHING, NOTICE, STREAM_BITS, packed


class EarlierEnds:
    """The ends of runs before a log was opened, asked for aside: the lines they fall among are shown before.

    `until` is when that was. `wake` is called, in another thread, when there are any.
    """

    def __init__(self, runtime: Runtime, container_id: str, until: str, wake: Callable[[], None]) -> None:
        self._runtime = runtime
        self._container_id = container_id
        self._until = until
        self._wake = wake
        self._asked = False
        self._found = NOTHING
        self.due = False
        """Whether they are being asked for."""

    def wants(self, batch: LogBatch) -> bool:
        """Whether those are the first lines; if so, they are due from now on."""
        if self._asked or all(flag & STREAM_BITS == NOTICE for flag in batch.flags):
            return False
        self._asked = self.due = True
        return True

    def ask(self, first: LogBatch, began: str) -> None:
        """Begin to ask for those from the first lines on. `began`: when the present run did, where it is known."""
        name = f"ends {self._container_id[:12]}"
        threading.Thread(target=self._ask, args=(first, began), name=name, daemon=True).start()

    def _ask(self, first: LogBatch, began: str) -> None:
        if since := oldest([first]):
            self._found = ends_between(self._runtime, self._container_id, since, self._until, began)
        self.due = False
        if self._found:
            self._wake()

    def drain(self) -> LogBatch:
        """Them, once: notices, to be put among the lines by their times."""
        found, self._found = self._found, NOTHING
        return found


def oldest(batches: Sequence[LogBatch]) -> str:
    """The time of the oldest of the first lines; '' if none has one."""
    edge = oldest_edge(batches)
    return min(key[:-1] for key in edge.known).decode(errors="replace") if edge is not None else ""


def ends_between(runtime: Runtime, container_id: str, since: str, until: str, began: str = "") -> LogBatch:
    """That runs ended in that time, as far as anybody knows; but for the present run, or the last one.

    `began`: when that one did, where it is known.
    """
    try:
        began = began or runtime.inspect(container_id).started_at
        ends = runtime.ends(container_id, since)
    except RelayError:
        return NOTHING  # the log is what matters: it says itself what is wrong with the engine
    past = [end for end in ends if _moment(end.at) < _moment(until) and _moment(end.began or end.at) < _moment(began)]
    words = [f"{end.at} {ending(FeedStatus('ended', end.exit_code))}".encode() for end in past]
    return packed(words, bytes([NOTICE]) * len(words))


def placed(batches: Sequence[LogBatch], notices: LogBatch) -> list[LogBatch]:
    """Lines with notices among them, each behind the last line that is not later."""
    waiting = [comparable(notices.parts(index)[0]) for index in range(len(notices))]
    result: list[LogBatch] = []  # the last first
    for batch in reversed(batches):
        end = index = len(batch)
        while waiting and index:
            index -= 1
            time = comparable(batch.parts(index)[0])
            while waiting and time and time <= waiting[-1]:
                result += [batch.only(range(index + 1, end)), notices.only([len(waiting) - 1])]
                waiting.pop()
                end = index + 1
        result.append(batch if end == len(batch) else batch.only(range(end)))
    result.append(notices.only(range(len(waiting))))
    return [batch for batch in reversed(result) if batch]


def _moment(time: str) -> bytes:
    return comparable(time.encode())
