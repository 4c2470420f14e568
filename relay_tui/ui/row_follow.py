"""Where the cursor and the screen go when the rows under them change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.geometry import clamp


def follow(old: Sequence[str], new: Mapping[str, int], cursor: str, top: int, page: int) -> tuple[str | None, int]:
    """The cursor's key and the first row on the screen, from `old` keys in order to `new` keys with their positions.

    The cursor stays on its key, else goes to the row that took its place, and keeps its screen line. With the cursor
    scrolled off the screen of `page` rows from `top` on, what is on the screen stays where it is.
    """
    if not new:
        return None, 0
    was = old.index(cursor)
    key = _nearest(old, was, new) or list(new)[min(was, len(new) - 1)]
    shift = new[key] - was
    if not top <= was < top + page:
        anchor = _nearest(old, min(top, len(old) - 1), new)
        shift = 0 if anchor is None else new[anchor] - old.index(anchor)
    return key, clamp(top + shift, 0, max(0, len(new) - page))


def _nearest(keys: Sequence[str], at: int, kept: Mapping[str, int]) -> str | None:
    """The key at `at` if it is among those kept, else the next one below that is, else the next above."""
    for key in (*keys[at:], *reversed(keys[:at])):
        if key in kept:
            return key
    return None
