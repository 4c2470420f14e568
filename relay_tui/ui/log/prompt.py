"""Input for a log's search or filter. An error in the pattern is shown after the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import on
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Input

from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.log.model.pattern import Pattern, compile_pattern
from relay_tui.ui.widgets.overlay_input import OverlayInput

if TYPE_CHECKING:
    from relay_tui.ui.widgets.key_bar import KeyBar

Kind = Literal["search", "filter"]
_SIGNS: dict[Kind, str] = {"search": " / ", "filter": " & "}


def _hint(kind: Kind) -> str:
    if kind == "search":
        return f"regular expression; {key_of('log_next')} and {key_of('log_previous')} move between matches"
    return "show only matching lines; start with ! to hide them"


class LogPrompt(OverlayInput):
    """Prompt for a pattern, over the key bar. `use` is called with each change, and with True when it is accepted."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log-prompt--sign", "log-prompt--wrong"}
    DEFAULT_CSS = """
    LogPrompt.-textual-compact { padding: 0 1 0 3; }
    LogPrompt {
        & > .log-prompt--sign { color: $text-accent; text-style: bold; }
        & > .log-prompt--wrong { color: $text-error; }
    }
    """

    def __init__(self, under: KeyBar | OverlayInput, use: Callable[[Kind, Pattern | None, bool], None]) -> None:
        super().__init__(under, id="log-prompt")
        self._use = use
        self._kind: Kind = "search"
        self._error = ""
        self._before: Pattern | None = None

    def ask(self, kind: Kind, text: str) -> None:
        """Open the prompt with the current pattern."""
        self._kind = kind
        with self.prevent(Input.Changed):
            self.value = text
        self.placeholder = _hint(kind)
        self._before, _ = self._parse(text)
        self.show(True)
        self.screen.set_focus(self)

    def take_back(self) -> None:
        """Restore the pattern from before the prompt was opened."""
        self._use(self._kind, self._before, False)

    def _parse(self, text: str) -> tuple[Pattern | None, bool]:
        """Return the pattern, and whether the text is valid. Record the error if it is not."""
        try:
            found, self._error = compile_pattern(text, invertible=self._kind == "filter"), ""
        except ValueError as error:
            found, self._error = None, str(error)
        self.refresh()
        return found, not self._error

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Apply the pattern while it is typed, if it is valid."""
        event.stop()
        found, right = self._parse(event.value)
        if right and self.is_open:
            self._use(self._kind, found, False)

    async def action_submit(self) -> None:
        """Accept the pattern at once: a message would arrive after the next key. Errors keep the prompt open."""
        found, right = self._parse(self.value)
        if right:
            self._use(self._kind, found, True)
        else:
            self.app.bell()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the sign, the input and the error after it, as far as there is room."""
        if not self.is_open:
            return super().render_lines(crop)
        width = self.outer_size.width
        [line] = super().render_lines(Region(0, 0, width, 1))
        sign = "log-prompt--wrong" if self._error else "log-prompt--sign"
        parts = [self._segment(_SIGNS[self._kind], sign), line.crop(3, width)]
        if self._error:
            free = width - 3 - cell_len(self.value) - 2
            words = f" {self._error} "
            if cell_len(words) > free:
                words = set_cell_size(words, max(0, free - 1)) + "…"
            room = min(cell_len(words), max(0, free))
            parts = [parts[0], line.crop(3, width - room), self._segment(words, "log-prompt--wrong")]
        return [Strip.join(parts).crop(crop.x, crop.right)]

    def _segment(self, words: str, name: str) -> Strip:
        return Strip([Segment(words, self.get_component_rich_style(name))])
