"""Form parts: a labelled field with its error beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from relay_tui.domain.errors import RelayError
from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation.formatting import format_hint


class Field(Vertical):
    """Label, control, and one line below for an error."""

    def __init__(self, name: str, label: str, control: Widget, below: Widget | None = None) -> None:
        super().__init__(id=f"field-{name}", classes="field")
        self._label = label
        self._control = control
        self._below = below

    def compose(self) -> ComposeResult:
        """Build label and control side by side, then the widget below, then the error."""
        with Horizontal(classes="line"):
            yield Static(self._label, classes="label", markup=False)
            yield self._control
        if self._below is not None:
            yield self._below
        yield Static("", classes="mistake", markup=False)

    def blame(self, words: str) -> None:
        """Show an error; '' to clear it."""
        self.query_one(".mistake", Static).update(Content(clean(words, limit=200)))


class Form(ModalScreen[str]):
    """Modal form whose result is an id or a text. An error is shown below its field, or at the foot of the form."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("ctrl+s", "submit", "Submit"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    sending = False
    """Whether the form is being submitted. A second Enter does not submit it twice."""

    @property
    def left(self) -> bool:
        """Whether the form was closed, perhaps while it was being submitted."""
        return self not in self.app.screen_stack

    @on(Button.Pressed, "#cancel")
    def cancel_pressed(self) -> None:
        """Close the form without a result."""
        self.dismiss("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#submit")
    def submit_pressed(self) -> None:
        """Submit the form: the button, or Enter in any field."""
        self.action_submit()

    def action_submit(self) -> object:
        """Submit the form."""
        raise NotImplementedError

    def action_leave(self) -> None:
        """Close the form once it has been drawn: a Select that is removed while it is being mounted ends the app."""
        self.call_after_refresh(self._leave)

    def _leave(self) -> None:
        if not self.left:
            self.dismiss("")

    def fields(self) -> Iterable[Field]:
        """Return every field of the form."""
        return self.query(Field)

    def clear_mistakes(self) -> None:
        """Clear all errors."""
        for field in self.fields():
            field.blame("")
        self.query_one("#foot", Static).update("")

    def blame(self, error: RelayError) -> None:
        """Show an error below the field that it is about."""
        self.clear_mistakes()
        hint = format_hint(error.hint)
        words = f"{error.title}. {hint}" if hint else error.title
        found = self.query(f"#field-{getattr(error, 'field', 'none')}")
        if found:
            found.first(Field).blame(words)
        else:
            lines = filter(None, (error.title, error.detail, hint))
            self.query_one("#foot", Static).update(Content("\n".join(map(clean, lines))))
