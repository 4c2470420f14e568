"""What relay says in a log about the log."""

from __future__ import annotations

from relay_tui.services.log_feed import FeedStatus
from relay_tui.text import clean


def ending(status: FeedStatus) -> str:
    """That a log has ended, and with what exit code or error."""
    if status.error is not None:
        return f"── {clean(status.error.title)} {clean(status.error.detail)}".strip()
    if status.exit_code is not None:
        return f"── ended, exit code {status.exit_code} ──"
    return "── ended ──"
