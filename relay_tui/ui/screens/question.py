"""A question that names what goes, before it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from relay_tui.text import clean, clean_block


class Question(ModalScreen[bool]):
    """Yes or no; no is what Enter says until one moves to the other button."""

    CSS_PATH = "forms.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, goes: Sequence[tuple[str, str]], verb: str) -> None:
        super().__init__()
        self._title = title
        self._goes = goes
        self._verb = verb

    def compose(self) -> ComposeResult:
        """What goes, then the two answers."""
        with Vertical(classes="box -question") as box:
            box.border_title = Content(clean(self._title))
            with VerticalScroll(classes="body"):
                for label, value in self._goes:
                    with Horizontal(classes="pair"):
                        yield Static(label, classes="label", markup=False)
                        yield Static(clean_block(value), classes="value", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(_answer("n", "no"), id="no", compact=True)
                yield Button(_answer("y", self._verb.lower()), id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """Nothing goes by a slip of the finger."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A button answers."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """A key answers."""
        self.dismiss(yes)


def _answer(key: str, words: str) -> Content:
    """A button's words behind the key that presses it."""
    return Content.assemble((key, "bold"), f" {words}")
