"""Dialog before a session or project is removed: its unsaved work, and the ways to save it first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from relay_tui.domain.errors import RelayError
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind
from relay_tui.services.removal import risk_noun
from relay_tui.text.format import format_size
from relay_tui.text.sanitize import clean, to_ascii
from relay_tui.ui.dialogs.confirm import AnswerDialog

_EXAMPLES = 4
ANSWERS = ("push", "keep", "bundle", "remove")


class RemoveSessionDialog(AnswerDialog[str]):
    """List of unsaved work. The result is 'push', 'keep', 'bundle', 'remove', or '' if the dialog was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "remove_if_safe", "Remove"),
        Binding("r", "answer('remove')", "Remove anyway"),
        Binding("p", "answer('push')", "Push"),
        Binding("k", "answer('keep')", "Save in the base clone"),
        Binding("b", "answer('bundle')", "Save as a bundle"),
        Binding("n,escape,q", "answer('')", "Cancel"),
        Binding("down,pagedown", "scroll(4)", show=False),
        Binding("up,pageup", "scroll(-4)", show=False),
    ]

    def __init__(
        self,
        title: str,
        details: Sequence[tuple[str, str]],
        check_unsaved: Callable[[], RemovalCheck],
        *,
        bundle: Path | None = None,
        plain: bool = False,
    ) -> None:
        """`check_unsaved` runs in a thread. `bundle` is the file for a bundle; None: nothing can be saved here."""
        super().__init__()
        self._title = title
        self._details = details
        self._check_unsaved = check_unsaved
        self._bundle = bundle
        self._plain = plain
        self._checked: RemovalCheck | None = None

    def compose(self) -> ComposeResult:
        """Build the details, the unsaved work, the buttons."""
        with Vertical(classes="box -question -guard") as box:
            box.border_title = Content(clean(self._title))
            with VerticalScroll(classes="body"):
                for label, value in self._details:
                    with Horizontal(classes="pair"):
                        yield Static(label, classes="label", markup=False)
                        yield Static(Content("\n").join(map(Content, value.split("\n"))), classes="value")
                yield Static(self._drawn(_checking()), id="risks", markup=False)
            with Horizontal(classes="buttons"):
                yield self.button("n", "cancel", "cancel")
                yield self.button("p", "push", "push")
                yield self.button("k", "save", "keep")
                yield self.button("b", "bundle", "bundle")
                yield self.button("r", "remove anyway", "remove", "error")

    def on_mount(self) -> None:
        """Start the check. The buttons that save work are shown when there is some."""
        for name in ("push", "keep", "bundle"):
            self.query_one(f"#{name}").display = False
        self.run_worker(self._check(), group="check_unsaved")

    async def _check(self) -> None:
        try:
            checked = await asyncio.to_thread(self._check_unsaved)
        except RelayError as error:
            reason = f"{error.title}: {error.detail}" if error.detail else error.title
            checked = RemovalCheck(risks=(Risk(hazard=RiskKind.UNKNOWN, count=1, reason=reason),))
        if self.is_attached:
            self._show(checked)

    def _show(self, checked: RemovalCheck) -> None:
        self._checked = checked
        self.query_one("#risks", Static).update(self._drawn(format_unsaved_work(checked, self._bundle)))
        can = self._bundle is not None
        saved = can and any(risk.hazard is not RiskKind.IGNORED for risk in checked.risks)
        self.query_one("#push").display = can and any(risk.hazard is RiskKind.UNPUSHED for risk in checked.risks)
        for name in ("keep", "bundle"):
            self.query_one(f"#{name}").display = saved
        self.query_one("#cancel", Button).label = self.label("n", "cancel" if checked.risks else "no")
        self.query_one("#remove", Button).label = (
            self.label("r", "remove anyway") if checked.risks else self.label("y", "remove")
        )

    def _drawn(self, content: Content) -> Content:
        return Content(to_ascii(content.plain)) if self._plain else content

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer with the button that was pressed."""
        self.dismiss(event.button.id if event.button.id in ANSWERS else "")

    def action_answer(self, answer: str) -> None:
        """Answer with a key if its button is shown."""
        if not answer or self.query_one(f"#{answer}").display:
            self.dismiss(answer)

    def action_scroll(self, lines: int) -> None:
        """Scroll the unsaved work if it does not fit."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_remove_if_safe(self) -> None:
        """Remove the session if it has no unsaved work: `y` is pressed out of habit."""
        if self._checked is None:
            self.notify("Still checking for unsaved work. Press r to remove the session without waiting.")
        elif self._checked.risks:
            self.notify("This session has unsaved work. Press r to remove it anyway.", severity="warning")
        else:
            self.dismiss("remove")


def _checking() -> Content:
    return Content.styled("\nChecking for unsaved work …", "$text-warning")


def format_unsaved_work(checked: RemovalCheck, bundle: Path | None) -> Content:
    """Return the unsaved work by kind, with examples, then the saved work, then the ways to save the rest."""
    lines: list[Content] = [Content("")]
    if not checked.risks:
        lines.append(Content.styled("No unsaved work: everything is on the upstream.", "$text-success"))
    else:
        lines.append(Content.styled("Unsaved work:", "bold $text-error"))
    for risk in checked.risks:
        lines += _risk_lines(risk)
    if checked.safe:
        lines += [Content(""), Content.styled("Saved elsewhere:", "bold $text-success")]
        lines += [Content(f"  {clean(words, limit=300)}") for words in checked.safe]
    if bundle is not None and any(risk.hazard is not RiskKind.IGNORED for risk in checked.risks):
        place = f"~/{bundle.name}" if bundle.parent == Path.home() else str(bundle)
        words = [
            "k save in the base clone first",
            f"b save as a bundle first in {clean(place)} (ignored files are not saved)",
        ]
        if any(risk.hazard is RiskKind.UNPUSHED for risk in checked.risks):
            words.insert(0, "p push first")
        lines += [Content(""), Content.styled(" · ".join(words), "$foreground-muted")]
    if checked.trash:
        lines += [Content(""), Content.styled(clean(checked.trash, limit=400), "$text-warning")]
    return Content("\n").join(lines)


def _risk_lines(risk: Risk) -> list[Content]:
    whose = f" in {clean(risk.session)}" if risk.session else ""
    if risk.hazard is RiskKind.UNKNOWN:
        first = Content.assemble(
            (f"  ? unknown{whose}, treated as unsaved work: ", "$text-warning"), clean(risk.reason, limit=400)
        )
        return [first]
    noun = risk_noun(risk)
    size = f", {format_size(risk.size)}" if risk.size is not None else ""
    where = whose + (f" on {clean(risk.branch, limit=80)}" if risk.branch else "")
    lines = [Content.assemble((f"{risk.count:>5} ", "bold"), f"{noun}{where}", (size, "$foreground-muted"))]
    lines += [
        Content.styled(f"        {clean(name, limit=120)}", "$foreground-muted") for name in risk.examples[:_EXAMPLES]
    ]
    if risk.count > _EXAMPLES and len(risk.examples) >= _EXAMPLES:
        lines.append(Content.styled(f"        and {risk.count - _EXAMPLES} more", "$foreground-muted"))
    return lines
