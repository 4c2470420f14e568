"""Which runs of a container its log has told the ends of: one may end and another begin while nobody looks."""

from __future__ import annotations

from collections.abc import Iterable

from relay_tui.services.log_join import comparable
from relay_tui.services.log_words import ENDED
from relay_tui.services.ports import Observed, RunEnd


class Runs:
    """The run that is followed, and how far the ends are told. `now` is when the log is opened, RFC 3339."""

    def __init__(self, now: str) -> None:
        self.since = now
        """Ends that are not later are told, or are none of this log's."""
        self.came = False
        """Whether lines came since an end was told."""
        self._began = ""  # when the run began that is followed, once it is known
        self._told = False  # whether its end is told
        self._last = ("", "")  # when that was, and in what words

    def another(self, seen: Observed) -> bool:
        """Whether it is seen in another run than the one that is followed."""
        if not seen.started_at or self._began:
            return bool(seen.started_at) and seen.started_at != self._began
        return _later(seen.started_at, self.since)

    def untold(self, ends: Iterable[RunEnd], seen: Observed) -> list[RunEnd]:
        """Those of runs before the one it is seen in that are not told."""
        past = [end for end in ends if not end.began or _later(seen.started_at, end.began)]
        return [end for end in past if end.began or not self._told]

    def own(self, ends: Iterable[RunEnd], seen: Observed) -> str:
        """When the run ended that it is seen in; '' where they do not tell."""
        return next((end.at for end in ends if end.began and not _later(seen.started_at, end.began)), "")

    def tell(self, end: RunEnd) -> None:
        """That end is told."""
        self.since, self._told = max(self.since, end.at, key=_moment), False

    def follow(self, seen: Observed) -> None:
        """The run it is seen in is followed from now on; the ends of those before it are told."""
        self.since = max(self.since, seen.started_at, key=_moment)
        self._began, self._told = seen.started_at, False

    def over(self, seen: Observed) -> bool:
        """Whether the end of the run it is seen in is told."""
        return self._told and bool(seen.finished_at) and self._last[0] == seen.finished_at

    def end(self, words: str, seen: Observed | None) -> bool:
        """The run that is followed has ended. Answer whether that is news: else it was looked at once more in vain."""
        at = seen.finished_at if seen is not None else ""
        before, said = self._last
        news = not self._told or self.came or (at not in ("", before)) or words not in (said, ENDED)
        if seen is not None and seen.started_at:
            self._began = seen.started_at
        if news:
            self._told, self._last, self.came = True, (at, words), False
            self.since = max(self.since, at, key=_moment)
        return news


def _moment(time: str) -> bytes:
    return comparable(time.encode())


def _later(time: str, other: str) -> bool:
    return _moment(time) > _moment(other)
