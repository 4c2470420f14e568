"""Dialog for orphaned clones and containers: those that relay has no record of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from relay_tui.services.reconcile.planner import Step
from relay_tui.text.sanitize import clean
from relay_tui.ui.dialogs.confirm import AnswerDialog

_MAX_LISTED = 50


class OrphansDialog(AnswerDialog[str]):
    """List of orphans. The result is 'adopt', 'trash', or '' to leave them alone."""

    first_focus = "leave"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer('adopt')", "Adopt"),
        Binding("t", "answer('trash')", "Trash"),
        Binding("n,escape,q", "answer('')", "Leave"),
    ]

    def __init__(self, orphans: Sequence[Step]) -> None:
        super().__init__()
        self._orphans = orphans

    def compose(self) -> ComposeResult:
        """Build the list, then the three buttons."""
        with Vertical(classes="box -strays") as box:
            box.border_title = Content("Orphaned clones and containers")
            with VerticalScroll(classes="body"):
                yield Static(self._list(), markup=False)
            with Horizontal(classes="buttons"):
                yield self.button("n", "leave", "leave")
                yield self.button("t", "trash", "trash", "error")
                yield self.button("a", "adopt", "adopt", "primary")

    def _list(self) -> Content:
        lines = [Content(clean(step.words)) for step in self._orphans[:_MAX_LISTED]]
        if len(self._orphans) > _MAX_LISTED:
            lines.append(Content(f"and {len(self._orphans) - _MAX_LISTED} more"))
        lines.append(Content(""))
        lines.append(
            Content.styled(
                "Adopt: create records for the clones and their containers. Trash: move the clones to the trash "
                "and remove the containers at once.",
                "$foreground-muted",
            )
        )
        return Content("\n").join(lines)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer with the button that was pressed."""
        self.dismiss("" if event.button.id == "leave" else event.button.id)

    def action_answer(self, answer: str) -> None:
        """Answer with a key."""
        self.dismiss(answer)
