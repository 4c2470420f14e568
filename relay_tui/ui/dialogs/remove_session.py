"""Before a session is removed: what would be lost with it, what is safe and why, and what can be done about it."""

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
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from relay_tui.domain.errors import RelayError
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind
from relay_tui.text.format import format_size
from relay_tui.text.sanitize import clean, to_ascii

_EXAMPLES = 4
ANSWERS = ("push", "keep", "bundle", "remove")


class RemoveSessionDialog(ModalScreen[str]):
    """Answers 'push', 'keep', 'bundle', 'remove', or '' to leave all as it is, which is what Enter says at first."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "remove_if_safe", "Remove"),
        Binding("r", "answer('remove')", "Remove anyway"),
        Binding("p", "answer('push')", "Push"),
        Binding("k", "answer('keep')", "Keep in the base"),
        Binding("b", "answer('bundle')", "Save as a bundle"),
        Binding("n,escape,q", "answer('')", "Cancel"),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
        Binding("down,pagedown", "scroll(4)", show=False),
        Binding("up,pageup", "scroll(-4)", show=False),
    ]

    def __init__(
        self,
        title: str,
        goes: Sequence[tuple[str, str]],
        guard: Callable[[], RemovalCheck],
        *,
        bundle: Path | None = None,
        plain: bool = False,
    ) -> None:
        """`bundle` is where a bundle would be saved; None: nothing is rescued from here."""
        super().__init__()
        self._title = title
        self._goes = goes
        self._guard = guard
        self._bundle = bundle
        self._plain = plain
        self._guarded: RemovalCheck | None = None

    def compose(self) -> ComposeResult:
        """What goes, what would be lost, the answers."""
        with Vertical(classes="box -question -guard") as box:
            box.border_title = Content(clean(self._title))
            with VerticalScroll(classes="body"):
                for label, value in self._goes:
                    with Horizontal(classes="pair"):
                        yield Static(label, classes="label", markup=False)
                        yield Static(Content("\n").join(map(Content, value.split("\n"))), classes="value")
                yield Static(self._shown(_looking()), id="risks", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(_answer("n", "cancel"), id="cancel", compact=True)
                yield Button(_answer("p", "push"), id="push", compact=True)
                yield Button(_answer("k", "keep"), id="keep", compact=True)
                yield Button(_answer("b", "bundle"), id="bundle", compact=True)
                yield Button(_answer("r", "remove anyway"), id="remove", variant="error", compact=True)

    def on_mount(self) -> None:
        """Nothing goes by a slip of the finger; the answers that are about work come with it."""
        self.query_one("#cancel").focus()
        for name in ("push", "keep", "bundle"):
            self.query_one(f"#{name}").display = False
        self.run_worker(self._look(), group="guard")

    async def _look(self) -> None:
        try:
            guarded = await asyncio.to_thread(self._guard)
        except RelayError as error:
            reason = f"{error.title}: {error.detail}" if error.detail else error.title
            guarded = RemovalCheck(risks=(Risk(hazard=RiskKind.UNKNOWN, count=1, reason=reason),))
        if self.is_attached:
            self._take(guarded)

    def _take(self, guarded: RemovalCheck) -> None:
        self._guarded = guarded
        self.query_one("#risks", Static).update(self._shown(format_unsaved_work(guarded, self._bundle)))
        can = self._bundle is not None
        saved = can and any(risk.hazard is not RiskKind.IGNORED for risk in guarded.risks)
        self.query_one("#push").display = can and any(risk.hazard is RiskKind.UNPUSHED for risk in guarded.risks)
        for name in ("keep", "bundle"):
            self.query_one(f"#{name}").display = saved
        self.query_one("#cancel", Button).label = _answer("n", "cancel" if guarded.risks else "no")
        self.query_one("#remove", Button).label = (
            _answer("r", "remove anyway") if guarded.risks else _answer("y", "remove")
        )

    def _shown(self, content: Content) -> Content:
        return Content(to_ascii(content.plain)) if self._plain else content

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A button answers."""
        self.dismiss(event.button.id if event.button.id in ANSWERS else "")

    def action_answer(self, answer: str) -> None:
        """A key answers, if its answer is offered."""
        if not answer or self.query_one(f"#{answer}").display:
            self.dismiss(answer)

    def action_scroll(self, lines: int) -> None:
        """Where it does not fit, the rest of what would be lost."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_remove_if_safe(self) -> None:
        """The key that hands know: it removes only what nothing is lost with."""
        if self._guarded is None:
            self.notify("Still looking at what would be lost. r removes it without knowing.")
        elif self._guarded.risks:
            self.notify("Work would be lost. r removes it all the same.", severity="warning")
        else:
            self.dismiss("remove")


def _looking() -> Content:
    return Content.styled("\nLooking at what would be lost …", "$text-warning")


def format_unsaved_work(guarded: RemovalCheck, bundle: Path | None) -> Content:
    """What would be lost, kind by kind, with some of it by name; then what is safe, and why."""
    lines: list[Content] = [Content("")]
    if not guarded.risks:
        lines.append(Content.styled("Nothing would be lost: the upstream has all of it.", "$text-success"))
    else:
        lines.append(Content.styled("Only here, and nowhere else:", "bold $text-error"))
    for risk in guarded.risks:
        lines += _risk_lines(risk)
    if guarded.safe:
        lines += [Content(""), Content.styled("Safe:", "bold $text-success")]
        lines += [Content(f"  {clean(words, limit=300)}") for words in guarded.safe]
    if bundle is not None and any(risk.hazard is not RiskKind.IGNORED for risk in guarded.risks):
        place = f"~/{bundle.name}" if bundle.parent == Path.home() else str(bundle)
        words = [f"k and b save all but ignored files first: in the project's base, or in {clean(place)}."]
        if any(risk.hazard is RiskKind.UNPUSHED for risk in guarded.risks):
            words.insert(0, "p pushes the branch first.")
        lines += [Content(""), Content.styled(" ".join(words), "$foreground-muted")]
    if guarded.trash:
        lines += [Content(""), Content.styled(clean(guarded.trash, limit=400), "$text-warning")]
    return Content("\n").join(lines)


def _risk_lines(risk: Risk) -> list[Content]:
    whose = f" in {clean(risk.session)}" if risk.session else ""
    if risk.hazard is RiskKind.UNKNOWN:
        first = Content.assemble(
            (f"  ? unknown{whose}, so it counts as unsaved: ", "$text-warning"), clean(risk.reason, limit=400)
        )
        return [first]
    count, what = _KINDS[risk.hazard]
    noun = count if risk.count == 1 else what
    size = f", {format_size(risk.size)}" if risk.size is not None else ""
    where = whose + (f" on {clean(risk.branch, limit=80)}" if risk.branch else "")
    lines = [Content.assemble((f"{risk.count:>5} ", "bold"), f"{noun}{where}", (size, "$foreground-muted"))]
    lines += [
        Content.styled(f"        {clean(name, limit=120)}", "$foreground-muted") for name in risk.examples[:_EXAMPLES]
    ]
    if risk.count > _EXAMPLES and len(risk.examples) >= _EXAMPLES:
        lines.append(Content.styled(f"        and {risk.count - _EXAMPLES} more", "$foreground-muted"))
    return lines


_KINDS = {
    RiskKind.DIRTY: ("changed file", "changed files"),
    RiskKind.UNTRACKED: ("untracked file", "untracked files"),
    RiskKind.IGNORED: ("large ignored file", "large ignored files"),
    RiskKind.STASHED: ("stash", "stashes"),
    RiskKind.UNPUSHED: ("unpushed commit", "unpushed commits"),
}


def _answer(key: str, words: str) -> Content:
    """A button's words behind the key that presses it."""
    return Content.assemble((key, "bold"), f" {words}")
