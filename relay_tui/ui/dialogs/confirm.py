"""Dialogs that ask one question: confirm, choose, consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static
from textual.widgets.button import ButtonVariant

from relay_tui.domain.errors import NeedsConsentError
from relay_tui.services.runtime_router import NOT_ISOLATED
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.presentation.formatting import format_hint

Answer = TypeVar("Answer")


class AnswerDialog(ModalScreen[Answer]):
    """Dialog with a row of buttons. Each button has a key of its own; arrows move between the buttons."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    first_focus: ClassVar[str] = "cancel"
    """Id of the button that has the focus at first. It changes nothing, so that Enter does not confirm by accident."""

    def on_mount(self) -> None:
        """Focus the first button."""
        self.first_button().focus()

    def first_button(self) -> Button:
        """Return the button that has the focus at first."""
        return self.query_one(f"#{self.first_focus}", Button)

    @staticmethod
    def label(key: str, words: str) -> Content:
        """Return the label of a button: its key, then `words`."""
        return Content.assemble((key, "bold"), f" {words}")

    def button(self, key: str, words: str, id: str, variant: ButtonVariant = "default") -> Button:  # noqa: A002
        """Return a button that is labelled with its key."""
        return Button(self.label(key, words), id=id, variant=variant, compact=True)


class ConfirmDialog(AnswerDialog[bool]):
    """Question to be answered with yes or no."""

    first_focus = "no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, title: str, details: Sequence[tuple[str, str]], verb: str) -> None:
        """`details` are labels with texts; `verb` labels the button that confirms."""
        super().__init__()
        self._title = title
        self._details = details
        self._verb = verb

    def compose(self) -> ComposeResult:
        """Build the details, then the two buttons."""
        with Vertical(classes="box -question") as box:
            box.border_title = Content(clean(self._title))
            with VerticalScroll(classes="body"):
                for label, value in self._details:
                    with Horizontal(classes="pair"):
                        yield Static(label, classes="label", markup=False)
                        yield Static(clean_block(value), classes="value", markup=False)
            with Horizontal(classes="buttons"):
                yield self.button("n", "no", "no")
                yield self.button("y", self._verb.lower(), "yes", "error")

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer with the button that was pressed."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer with a key."""
        self.dismiss(yes)


class ChoiceDialog(AnswerDialog[str]):
    """Question with several answers. The result is the id of one of them, or '' if the dialog was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,escape,q", "dismiss('')", "Cancel"),
    ]

    def __init__(self, title: str, words: str, answers: Sequence[tuple[str, str, str]]) -> None:
        """`answers` are tuples of key, id and label."""
        super().__init__()
        self._title = title
        self._words = words
        self._answers = answers

    def compose(self) -> ComposeResult:
        """Build the text, then the buttons."""
        with Vertical(classes="box -push") as box:
            box.border_title = Content(clean(self._title))
            yield Static(clean_block(self._words), classes="body", markup=False)
            with Horizontal(classes="buttons"):
                yield self.button("n", "cancel", "cancel")
                for key, name, label in self._answers:
                    yield self.button(key, clean(label), name)

    def on_key(self, event: events.Key) -> None:
        """Answer with the key of a button."""
        for key, name, _ in self._answers:
            if event.key == key:
                event.stop()
                self.dismiss(name)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer with the button that was pressed."""
        self.dismiss("" if event.button.id == "cancel" else event.button.id)


async def ask_for_consent(app: App[Any], question: NeedsConsentError) -> bool:
    """Ask the user for consent and return the answer. To be awaited in a worker."""
    asked_again = "Once: relay stores the answer in this data directory." if question.consent == NOT_ISOLATED else ""
    rows = [("why", question.detail), ("instead", format_hint(question.hint)), ("asked", asked_again)]
    agreed: bool = await app.push_screen_wait(
        ConfirmDialog(question.title, [row for row in rows if row[1]], "create it")
    )
    return agreed
