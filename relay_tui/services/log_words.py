"""How a log is, and what relay says in it about it."""

from __future__ import annotations

from dataclasses import dataclass

from relay_tui.errors import RelayError
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
