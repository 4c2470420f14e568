"""Status of a log, and the notices that relay adds to it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from relay_tui.domain.errors import RelayError
from relay_tui.ports import ContainerState, RunEnd
from relay_tui.services.logs.resume import comparable
from relay_tui.text.sanitize import clean

ENDED = "── ended ──"


@dataclass(frozen=True, slots=True)
class LogStatus:
    """Status of a feed: following, reconnecting to the engine, or ended with an exit code or an error."""

    word: str = "following"
    exit_code: int | None = None
    error: RelayError | None = None

    @property
    def ended(self) -> bool:
        """Whether no more lines will arrive."""
        return self.word == "ended"


def end_notice(status: LogStatus) -> str:
    """Return the notice that a log ended, with its exit code or error."""
    if status.error is not None:
        return f"── {clean(status.error.title)} {clean(status.error.detail)}".strip()
    if status.exit_code is not None:
        return f"── ended, exit code {status.exit_code} ──"
    return ENDED


def ending_before(end: RunEnd) -> str:
    """Return the notice of a run's end that follows lines of the next run. Its time shows which run ended."""
    when = ""
    with suppress(ValueError):
        when = f" at {datetime.fromisoformat(end.at).astimezone():%H:%M:%S}"
    code = f", exit code {end.exit_code}" if end.exit_code is not None else ""
    return f"── previous run exited{when}{code} ──"


class RunTracker:
    """Followed run, and the ends of runs that were reported. `now` is the opening time, RFC 3339."""

    def __init__(self, now: str) -> None:
        self.since = now
        """Time up to which ends are reported, or are not part of this log."""
        self.came = False
        """Whether lines arrived since an end was reported."""
        self._began = ""  # start of the followed run, once known
        self._is_reported = False  # whether the end of the followed run is reported
        self._last = ("", "")  # time and notice of the last reported end

    def another(self, seen: ContainerState) -> bool:
        """Return whether the container is in another run than the followed one."""
        if not seen.started_at or self._began:
            return bool(seen.started_at) and seen.started_at != self._began
        return _later(seen.started_at, self.since)

    def untold(self, ends: Iterable[RunEnd], seen: ContainerState) -> list[RunEnd]:
        """Return the ends of earlier runs that were not reported yet."""
        past = [end for end in ends if not end.began or _later(seen.started_at, end.began)]
        return [end for end in past if end.began or not self._is_reported]

    def own_run_notice(self, ends: Iterable[RunEnd], seen: ContainerState) -> str:
        """Return the end time of the observed run; '' if unknown."""
        return next((end.at for end in ends if end.began and not _later(seen.started_at, end.began)), "")

    def report(self, end: RunEnd) -> None:
        """Mark a run's end as reported."""
        self.since, self._is_reported = max(self.since, end.at, key=_moment), False

    def follow(self, seen: ContainerState) -> None:
        """Follow the observed run from now on. The ends of earlier runs are reported."""
        self.since = max(self.since, seen.started_at, key=_moment)
        self._began, self._is_reported = seen.started_at, False

    def over(self, seen: ContainerState) -> bool:
        """Return whether the end of the observed run was reported."""
        return self._is_reported and bool(seen.finished_at) and self._last[0] == seen.finished_at

    def end(self, notice: str, seen: ContainerState | None) -> bool:
        """Record the end of the followed run. Return False if it was reported before and no lines arrived since."""
        at = seen.finished_at if seen is not None else ""
        before, last_notice = self._last
        news = not self._is_reported or self.came or (at not in ("", before)) or notice not in (last_notice, ENDED)
        if seen is not None and seen.started_at:
            self._began = seen.started_at
        if news:
            self._is_reported, self._last, self.came = True, (at, notice), False
            self.since = max(self.since, at, key=_moment)
        return news


def _moment(time: str) -> bytes:
    return comparable(time.encode())


def _later(time: str, other: str) -> bool:
    return _moment(time) > _moment(other)
