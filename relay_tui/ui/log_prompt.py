"""The line in which a log's search or filter is typed; what is wrong with a pattern stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from relay_tui.ui.actions import key_of
from relay_tui.ui.log_match import Pattern, pattern

Kind = Literal["search", "filter"]
_SIGNS: dict[Kind, str] = {"search": "/", "filter": "&"}
_HINTS: dict[Kind, str] = {
    "search": f"a regular expression; {key_of('log_next')} and {key_of('log_previous')} go on",
    "filter": "show only lines that match; ! before it: only those that do not",
}


class LogPrompt(Horizontal):
    """Asks for a pattern, in place of the key bar. `use` gets it as it is typed, and in the end with True."""

    DEFAULT_CSS = """
    LogPrompt { height: 1; display: none; background: $panel; }
    LogPrompt #sign { width: 3; padding: 0 1; color: $text-accent; text-style: bold; }
    LogPrompt Input { width: 1fr; border: none; background: $panel; padding: 0; }
    LogPrompt #wrong { width: auto; max-width: 60%; padding: 0 1; color: $text-error; text-wrap: nowrap; }
    """

    def __init__(self, use: Callable[[Kind, Pattern | None, bool], None]) -> None:
        super().__init__(id="log-prompt")
        self._use = use
        self._kind: Kind = "search"

    def compose(self) -> ComposeResult:
        """A sign, what is typed, what is wrong with it."""
        yield Static(id="sign", markup=False)
        yield _Box(compact=True)
        yield Static(id="wrong", markup=False)

    def ask(self, kind: Kind, text: str) -> None:
        """Begin with the pattern that is there already."""
        self._kind = kind
        self.query_one("#sign", Static).update(_SIGNS[kind])
        box = self.query_one(Input)
        with self.prevent(Input.Changed):
            box.value = text
        box.placeholder = _HINTS[kind]
        self._judge(text)
        self.screen.set_focus(box)

    def _judge(self, text: str) -> tuple[Pattern | None, bool]:
        """The pattern, and whether it is one; says what is wrong."""
        try:
            found, words = pattern(text, invertible=self._kind == "filter"), ""
        except ValueError as error:
            found, words = None, str(error)
        self.query_one("#wrong", Static).update(words)
        return found, not words

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Use it as it is typed, where it makes sense."""
        event.stop()
        found, right = self._judge(event.value)
        if right and self.query_one(Input).has_focus:
            self._use(self._kind, found, False)

    def finish(self) -> None:
        """Keep it; what is wrong is to be mended first."""
        found, right = self._judge(self.query_one(Input).value)
        if right:
            self._use(self._kind, found, True)
        else:
            self.app.bell()


class _Box(Input):
    """Tells of enter at once: a message would come after the next key, which is the log's."""

    async def action_submit(self) -> None:
        """Enter."""
        self.query_ancestor(LogPrompt).finish()
