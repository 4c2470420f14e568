"""Hints as the screen says them: with keys."""

from __future__ import annotations

from relay_tui.hints import on_screen
from relay_tui.text import clean
from relay_tui.ui.actions import key_of


def hint_words(hint: str) -> str:
    """The hint on one safe line, its deeds as keys."""
    return clean(on_screen(hint, key_of))
