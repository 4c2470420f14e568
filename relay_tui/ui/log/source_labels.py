"""Labels of a merged log: the session's name before each line, padded, in its own colour."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len

from relay_tui.text.sanitize import clean, to_ascii

COLOURS = ("36", "33", "35", "32", "94", "1;96", "1;93", "1;95", "1;92", "1;34", "31", "1;91")
"""Chromatic colours of the terminal's 16, most different ones first. Red is last, because it means failure elsewhere.

The bright ones are bold, for terminals that show both alike and for readers who cannot distinguish the colours.
"""
WIDEST, NARROW = 24, 16
"""Maximum width of a name in cells, on a wide screen and on a narrow one."""


class SourceLabels:
    """Labels with a fixed colour for each session. All labels are as wide as the widest name."""

    def __init__(self, widest: int = WIDEST, *, ascii: bool) -> None:  # noqa: A002
        self._widest = widest
        self._ascii = ascii
        self._ranks: dict[str, int] = {}

    def labels(self, named: Mapping[str, str]) -> dict[str, bytes]:
        """Return labels by session id. Older sessions have smaller ids and get their colours first."""
        for key in sorted(named):
            self._ranks.setdefault(key, len(self._ranks))
        short = {key: self._short(name) for key, name in named.items()}
        width = max(map(cell_len, short.values()), default=0)
        return {key: self._label(key, name + " " * (width - cell_len(name))) for key, name in short.items()}

    def _label(self, key: str, name: str) -> bytes:
        again, rank = divmod(self._ranks[key], len(COLOURS))
        style = COLOURS[rank] + (";4" if again % 2 else "")
        return f"\x1b[{style}m{name.rstrip()}\x1b[0m{' ' * (len(name) - len(name.rstrip()))} ".encode()

    def _short(self, name: str) -> str:
        """Return the name cut to the width. The middle is left out, because names differ at their ends."""
        text = clean(name)
        if self._ascii:
            text = to_ascii(text)
        if cell_len(text) <= self._widest:
            return text
        mark = "~" if self._ascii else "…"
        head = _fitting(text, (self._widest - 1) // 2)
        tail = _fitting(text[::-1], self._widest - 1 - cell_len(head))[::-1]
        return head + mark + tail


def _fitting(text: str, cells: int) -> str:
    """Return the longest prefix of at most `cells` cells."""
    end = min(len(text), cells)
    while cell_len(text[:end]) > cells:
        end -= 1
    return text[:end]
