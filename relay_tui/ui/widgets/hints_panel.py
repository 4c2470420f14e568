"""Panel of the demo with the keys to press, until it is closed."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.widgets import Static

from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import key_of


class HintsPanel(Static):
    """A few keys with their effects; one line if the terminal is low. Press esc or click to close it."""

    def __init__(self, words: str, hints: Sequence[tuple[str, str, str]], *, ascii_only: bool) -> None:
        super().__init__(id="hints", markup=False)
        self._words = clean(words)
        self._hints = tuple(hints)
        self._dot = " | " if ascii_only else " · "
        self.border_title = "A demo"
        self.border_subtitle = f"{key_of('back')} hides this"

    def on_resize(self, _: events.Resize) -> None:
        """Wrap the hints to the width, after the layout that changed it is done."""
        self.call_after_refresh(self._fold)

    def _fold(self) -> None:
        if self.is_attached:
            low = self.screen.has_class("-low")
            self.update(self._line() if low else self._block(self.size.width))

    def on_click(self) -> None:
        """Close the panel."""
        self.remove()

    def _line(self) -> Content:
        """Return the keys with one word each."""
        shown = [Content.assemble((keys, "bold $primary-lighten-1"), f" {brief}") for keys, brief, _ in self._hints]
        return Content(self._dot).join([Content.styled("demo", "bold"), *shown, Content(f"{key_of('back')} hides")])

    def _block(self, width: int) -> Content:
        """Return the introduction and, below it, the keys in columns."""
        gap = max(5, *(len(keys) + 2 for keys, _, _ in self._hints))
        room = max(len(words) for _, _, words in self._hints) + gap + 3
        columns = max(1, min(3, width // room))
        lines = [Content.styled(self._words, "$foreground-muted")]
        for start in range(0, len(self._hints), columns):
            row = [
                span
                for keys, _, words in self._hints[start : start + columns]
                for span in ((f"{keys:<{gap}}", "bold $primary-lighten-1"), f"{words:<{room - gap}}")
            ]
            lines.append(Content.assemble(*row))
        return Content("\n").join(lines)
