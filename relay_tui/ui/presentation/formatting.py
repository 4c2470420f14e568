"""Text fragments shared by all presentation modules: glyphs, tones, times, errors, hints."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from rich.cells import cell_len

from relay_tui.domain.hints import render_for_tui
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import key_of

Tone = Literal["", "dim", "good", "busy", "bad", "accent", "bold"]
"""Meaning of a text's colour."""

TONES: dict[Tone, str] = {
    "": "",
    "dim": "$foreground-muted",
    "good": "$success",
    "busy": "$text-warning",
    "bad": "$error-lighten-2",
    "accent": "$primary-lighten-1",
    "bold": "bold",
}
"""Style of each tone outside of tables, which have component classes of their own."""


class Glyphs(NamedTuple):
    """Characters that relay draws. Each mark is one cell wide.

    With `ascii_only`, every character of a table's cells that is not ASCII is drawn as `?`.
    """

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
    cursor: str
    ellipsis: str
    bar: tuple[str, str, str]
    """A full cell, a half cell, a cell that is left."""
    ascii_only: bool

    def length(self, text: str) -> int:
        """Return the number of cells of `text` when it is drawn."""
        return len(text) if self.ascii_only or text.isascii() else cell_len(text)

    def drawn(self, text: str) -> str:
        """Return `text` as it is drawn."""
        return text.encode("ascii", "replace").decode() if self.ascii_only else text


UNICODE = Glyphs("●", "◌", "○", "✗", "?", "●", "≡", "●", "✗", "·", "◆", "▌", "…", ("━", "╸", "─"), ascii_only=False)
ASCII = Glyphs("*", "~", "-", "!", "?", "*", "=", "*", "!", "|", "+", ">", "...", ("#", "", "-"), ascii_only=True)

_UNITS = ((3600, 60, "m"), (86_400, 3600, "h"), (86_400 * 365, 86_400, "d"))


def relative_age(since: str, moment: datetime) -> str:
    """Return the time since `since` in at most four characters: '<1m', '5m', '3h', '9d', '2y'."""
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
    """Return the seconds for which `relative_age` keeps its present result."""
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
    """Return a time with its age: '2026-11-23 09:21 UTC, 5m ago'; empty for an empty `stamp`."""
    return f"{stamp[:10]} {stamp[11:16]} UTC, {relative_age(stamp, moment)} ago" if stamp else ""


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def format_fault(title: str, detail: str) -> str:
    """Return an error in one line: its title and the last line of its detail."""
    lines = [line for line in clean_lines(detail) if line.strip()]
    return clean(f"{title}: {lines[-1].strip()}") if lines else clean(title)


def clean_lines(text: str) -> list[str]:
    """Return the lines of a text, each sanitized."""
    return [clean(line) for line in text.splitlines()]


def format_hint(hint: str) -> str:
    """Return the hint on one sanitized line, its actions as keys."""
    return clean(render_for_tui(hint, key_of))
