"""A question with a few answers, each with its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from relay_tui.text import clean, clean_block


class Choice(ModalScreen[str]):
    """Answers one of the given ids, or '' to leave all as it is, which is what Enter says at first."""

    CSS_PATH = "forms.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,escape,q", "dismiss('')", "Cancel"),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, words: str, answers: Sequence[tuple[str, str, str]]) -> None:
        """`answers` are key, id and label."""
        super().__init__()
        self._title = title
        self._words = words
        self._answers = answers

    def compose(self) -> ComposeResult:
        """The words, then the answers."""
        with Vertical(classes="box -push") as box:
            box.border_title = Content(clean(self._title))
            yield Static(clean_block(self._words), classes="body", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(Content.assemble(("n", "bold"), " cancel"), id="cancel", compact=True)
                for key, name, label in self._answers:
                    yield Button(Content.assemble((key, "bold"), f" {clean(label)}"), id=name, compact=True)

    def on_mount(self) -> None:
        """Nothing happens by a slip of the finger."""
        self.query_one("#cancel").focus()

    def on_key(self, event: events.Key) -> None:
        """An answer's key."""
        for key, name, _ in self._answers:
            if event.key == key:
                event.stop()
                self.dismiss(name)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A button answers."""
        self.dismiss("" if event.button.id == "cancel" else event.button.id)
