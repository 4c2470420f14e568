"""The line to type a list's filter in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay_tui.ui.typed_line import TypedLine

if TYPE_CHECKING:
    from relay_tui.ui.bars import KeyBar


class FilterLine(TypedLine):
    """What rows must contain."""

    def __init__(self, keys: KeyBar) -> None:
        super().__init__(keys, id="filter", placeholder="show only what contains")
