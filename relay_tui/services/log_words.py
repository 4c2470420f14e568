"""How a log is, and what relay says in it about it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from relay_tui.errors import RelayError
from relay_tui.services.ports import RunEnd
from relay_tui.text import clean

ENDED = "── ended ──"


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How a feed is: following, trying to reach the engine again, or ended, with an exit code or an error."""

    word: str = "following"
    exit_code: int | None = None
    error: RelayError | None = None

    @property
    def ended(self) -> bool:
        """Whether no more comes by itself."""
        return self.word == "ended"


def ending(status: FeedStatus) -> str:
    """That a log has ended, and with what exit code or error."""
    if status.error is not None:
        return f"── {clean(status.error.title)} {clean(status.error.detail)}".strip()
    if status.exit_code is not None:
        return f"── ended, exit code {status.exit_code} ──"
    return ENDED


def ending_before(end: RunEnd) -> str:
    """That a run has ended, told behind lines of the next one: with its time, so that none takes that one for over."""
    when = ""
    with suppress(ValueError):
        when = f" at {datetime.fromisoformat(end.at).astimezone():%H:%M:%S}"
    code = f", exit code {end.exit_code}" if end.exit_code is not None else ""
    return f"── the run before ended{when}{code} ──"
