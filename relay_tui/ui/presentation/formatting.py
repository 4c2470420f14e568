"""Text fragments shared by all presentation modules: times, faults, glyphs, hints."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from relay_tui.domain.hints import render_for_tui
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.presentation.columns import Tone

if TYPE_CHECKING:
    from relay_tui.ui.presentation.columns import Tone


class Glyphs(NamedTuple):
    """The marks of states; each is one cell wide."""

    running: str
    busy: str
    stopped: str
    failed: str
    unknown: str
    ready: str
    everything: str
    up: str
    down: str
    dot: str
    marked: str


UNICODE = Glyphs("●", "◌", "○", "✗", "?", "●", "≡", "●", "✗", "·", "◆")


ASCII = Glyphs("*", "~", "-", "!", "?", "*", "=", "*", "!", "|", "+")


_UNITS = ((3600, 60, "m"), (86_400, 3600, "h"), (86_400 * 365, 86_400, "d"))


def relative_age(since: str, moment: datetime) -> str:
    """How long ago, in at most four characters: '<1m', '5m', '3h', '9d', '2y'."""
    seconds = _seconds(since, moment)
    if seconds is None:
        return "?"
    if seconds < 60:
        return "<1m"
    for limit, unit, name in _UNITS:
        if seconds < limit:
            return f"{int(seconds // unit)}{name}"
    return f"{int(seconds // (86_400 * 365))}y"


def age_valid_for(since: str, moment: datetime) -> float:
    """For how many seconds more age() will answer the same."""
    seconds = _seconds(since, moment)
    if seconds is None:
        return float("inf")
    unit = next((unit for limit, unit, _ in _UNITS if seconds < limit), 86_400 * 365)
    return unit - seconds % unit


def _seconds(since: str, moment: datetime) -> float | None:
    try:
        return max(0.0, (moment - _moment(since)).total_seconds())
    except (ValueError, TypeError):
        return None


@lru_cache(maxsize=8192)
def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def format_time(stamp: str, moment: datetime) -> str:
    """A moment as a person reads it: '2026-11-23 09:21 UTC, 5m ago'."""
    return f"{stamp[:10]} {stamp[11:16]} UTC, {relative_age(stamp, moment)} ago" if stamp else ""


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def format_fault(title: str, detail: str) -> str:
    """An error in one line: what happened, then the last thing that was said about it."""
    lines = [line for line in clean_lines(detail) if line.strip()]
    return clean(f"{title}: {lines[-1].strip()}") if lines else clean(title)


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each safe."""
    return [clean(line) for line in text.splitlines()]


TONES: dict[Tone, str] = {
    "": "",
    "dim": "$foreground-muted",
    "good": "$success",
    "busy": "$text-warning",
    "bad": "$error-lighten-2",
    "accent": "$primary-lighten-1",
    "bold": "bold",
}


def format_hint(hint: str) -> str:
    """The hint on one safe line, its deeds as keys."""
    return clean(render_for_tui(hint, key_of))
