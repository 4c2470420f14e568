"""Dialogs before and after a push: the commits to be sent, and the reply of the remote."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button

from relay_tui.domain.transfers import PushPlan, PushResult
from relay_tui.text.sanitize import clean
from relay_tui.ui.dialogs.confirm import AnswerDialog
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.widgets.hanging_indent import HangingIndent

_MAX_LISTED = 12


class PushDialog(AnswerDialog[bool]):
    """List of the commits that a push sends. Without any, or if the remote would reject them, it can only be closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Push"),
        Binding("n,escape,q", "answer(False)", "Cancel"),
    ]

    def __init__(self, name: str, plan: PushPlan) -> None:
        super().__init__()
        self._name_of = name
        self._plan = plan

    def compose(self) -> ComposeResult:
        """Build the plan, then the buttons: only one if there is nothing to push."""
        nothing = self._plan.diverged or (not self._plan.count and not self._plan.new_branch)
        with Vertical(classes="box -push") as box:
            box.border_title = Content(f"Push session {clean(self._name_of)}?")
            with VerticalScroll(classes="body"):
                yield HangingIndent(format_push_plan(self._plan))
            with Horizontal(classes="buttons"):
                yield self.button("n", "close" if nothing else "cancel", "no")
                if not nothing:
                    yield self.button("y", "push", "yes", "primary")

    def first_button(self) -> Button:
        """Return the button that pushes: a rejected push loses nothing, so Enter may send."""
        return self.query(Button).last()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer with the button that was pressed."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer with a key. There may be nothing to push."""
        self.dismiss(yes and bool(self.query("#yes")))


class PushResultDialog(AnswerDialog[None]):
    """Reply of the remote to a push, with links to be copied."""

    first_focus = "close"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy"),
        Binding("escape,q,enter,n", "dismiss(None)", "Close"),
        Binding("j,down", "turn(1)", "Next link", show=False),
        Binding("k,up", "turn(-1)", "Previous link", show=False),
    ]

    def __init__(self, name: str, pushed: PushResult) -> None:
        super().__init__()
        self._name_of = name
        self._pushed = pushed
        self._at = 0

    def compose(self) -> ComposeResult:
        """Build the reply of the remote, then the buttons."""
        with Vertical(classes="box -push") as box:
            box.border_title = Content(f"Pushed session {clean(self._name_of)}")
            with VerticalScroll(classes="body"):
                yield HangingIndent(id="said")
            with Horizontal(classes="buttons"):
                yield self.button("enter", "close", "close")
                if self._pushed.links:
                    yield self.button("y", "copy the link", "copy", "primary")

    def on_mount(self) -> None:
        """Show the reply."""
        self._draw()

    def _draw(self) -> None:
        self.query_one("#said", HangingIndent).update(format_push_result(self._pushed, self._at))

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Copy the link or close the dialog."""
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.dismiss(None)

    def action_turn(self, step: int) -> None:
        """Select another link."""
        if self._pushed.links:
            self._at = (self._at + step) % len(self._pushed.links)
            self._draw()

    def action_copy(self) -> None:
        """Copy the selected link to the clipboard of the user's terminal."""
        if self._pushed.links:
            link = clean(self._pushed.links[self._at], limit=2000)
            self.app.copy_to_clipboard(link)
            self.notify(f"Copied {link}", markup=False)


def format_push_plan(plan: PushPlan) -> Content:
    """Return remote, branch and commits of a push, and the reason if the remote would reject it."""
    branch = f"{clean(plan.branch)}{' (new there)' if plan.new_branch else ''}"
    lines = [
        _pair("to", clean(plan.remote)),
        _pair("branch", branch),
        _pair("commits", f"{plan.count}" if plan.count else "none: the remote has all of them"),
    ]
    for commit in plan.commits[:_MAX_LISTED]:
        lines.append(
            Content.assemble((f"{'':12}{clean(commit.hash)[:8]}  ", "$text-primary"), clean(commit.subject, limit=120))
        )
    if plan.count > min(len(plan.commits), _MAX_LISTED):
        more = plan.count - min(len(plan.commits), _MAX_LISTED)
        lines.append(Content.styled(f"{'':12}and {more} more", "$foreground-muted"))
    if plan.diverged:
        words = f"Press {key_of('update')} to merge or rebase them first, then push again."
        lines += [
            Content(""),
            Content.styled(
                "The remote has commits that the session does not have, so it would reject the push.",
                "bold $text-warning",
            ),
            Content.styled(words, "$foreground-muted"),
        ]
    lines += [
        Content(""),
        Content.styled("The push uses your own credentials and runs on this machine.", "$foreground-muted"),
    ]
    return Content("\n").join(lines)


def format_push_result(pushed: PushResult, at: int) -> Content:
    """Return branch and commit, the lines of the remote, and its links with number `at` marked."""
    lines = [_pair("branch", clean(pushed.branch)), _pair("commit", clean(pushed.commit)[:12])]
    said = [clean(line, limit=300) for line in pushed.said if line.strip()]
    if said:
        lines += [Content(""), Content.styled("Reply of the remote:", "$foreground-muted")]
        lines += [Content(f"  {line}") for line in said]
    if pushed.links:
        lines.append(Content(""))
    for number, link in enumerate(pushed.links):
        mark, style = ("> ", "bold underline $text-primary") if number == at else ("  ", "underline")
        lines.append(Content.assemble(mark, (clean(link, limit=2000), style)))
    return Content("\n").join(lines)


def _pair(label: str, value: str) -> Content:
    return Content.assemble((f"{label:<12}", "$foreground-muted"), value)
