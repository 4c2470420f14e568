"""Hints as the screen says them: with keys."""

from __future__ import annotations

from relay_tui.hints import on_screen
from relay_tui.text import clean
from relay_tui.ui.actions import BY_NAME, key_words


def hint_words(hint: str) -> str:
    """The hint on one safe line, its deeds as keys."""
    return clean(on_screen(hint, lambda action: key_words(BY_NAME[action])))
