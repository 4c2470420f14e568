"""What relay found and has no record of, and what is to become of it."""

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

from relay_tui.services.reconcile.planner import Step
from relay_tui.text.sanitize import clean

_MOST = 50  # lines; more are counted


class OrphansDialog(ModalScreen[str]):
    """Answers 'adopt', 'trash' or '' (leave all as it is, which is what Enter says at first)."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer('adopt')", "Adopt"),
        Binding("t", "answer('trash')", "Trash"),
        Binding("n,escape,q", "answer('')", "Leave"),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    def __init__(self, strays: Sequence[Step]) -> None:
        super().__init__()
        self._strays = strays

    def compose(self) -> ComposeResult:
        """What was found, then the three answers."""
        with Vertical(classes="box -strays") as box:
            box.border_title = Content("Found, and on no record")
            with VerticalScroll(classes="body"):
                yield Static(self._found(), markup=False)
            with Horizontal(classes="buttons"):
                yield Button(_answer("n", "leave"), id="leave", compact=True)
                yield Button(_answer("t", "trash"), id="trash", variant="error", compact=True)
                yield Button(_answer("a", "adopt"), id="adopt", variant="primary", compact=True)

    def _found(self) -> Content:
        lines = [Content(clean(step.words)) for step in self._strays[:_MOST]]
        if len(self._strays) > _MOST:
            lines.append(Content(f"and {len(self._strays) - _MOST} more"))
        lines.append(Content(""))
        lines.append(
            Content.styled(
                "Adopting puts clones on record, with their containers. The trash keeps clones for a while; "
                "containers are removed at once.",
                "$foreground-muted",
            )
        )
        return Content("\n").join(lines)

    def on_mount(self) -> None:
        """Nothing happens by a slip of the finger."""
        self.query_one("#leave").focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A button answers."""
        self.dismiss("" if event.button.id == "leave" else event.button.id)

    def action_answer(self, answer: str) -> None:
        """A key answers."""
        self.dismiss(answer)


def _answer(key: str, words: str) -> Content:
    """A button's words behind the key that presses it."""
    return Content.assemble((key, "bold"), f" {words}")
