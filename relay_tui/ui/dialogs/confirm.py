"""A question that names what goes, before it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from relay_tui.domain.errors import NeedsConsentError
from relay_tui.services.runtime_router import NOT_ISOLATED
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.presentation.formatting import format_hint


class ConfirmDialog(ModalScreen[bool]):
    """Yes or no; no is what Enter says until one moves to the other button."""

    CSS_PATH = "dialogs.tcss"
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


class ChoiceDialog(ModalScreen[str]):
    """Answers one of the given ids, or '' to leave all as it is, which is what Enter says at first."""

    CSS_PATH = "dialogs.tcss"
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


async def ask_for_consent(app: App[Any], question: NeedsConsentError) -> bool:
    """Whether the person agrees. To be awaited in a worker."""
    asked_again = "Only once: it is remembered for this data dir." if question.consent == NOT_ISOLATED else ""
    rows = [("why", question.detail), ("instead", format_hint(question.hint)), ("asked", asked_again)]
    agreed: bool = await app.push_screen_wait(ConfirmDialog(question.title, [row for row in rows if row[1]], "make it"))
    return agreed
