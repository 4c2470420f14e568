"""Pushing: what goes, before it goes; and what the remote said when it had gone."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button

from relay_tui.domain.transfers import PushPlan, PushResult
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.widgets.hanging_indent import HangingIndent

_LISTED = 12


class PushDialog(ModalScreen[bool]):
    """Says what a push would send; Enter sends it. What would be rejected cannot be sent."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Push"),
        Binding("n,escape,q", "answer(False)", "Cancel"),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    def __init__(self, name: str, plan: PushPlan) -> None:
        super().__init__()
        self._name_of = name
        self._plan = plan

    def compose(self) -> ComposeResult:
        """The plan, then the answers; nothing that could be pushed leaves one answer."""
        nothing = self._plan.diverged or (not self._plan.count and not self._plan.new_branch)
        with Vertical(classes="box -push") as box:
            box.border_title = Content(f"Push {clean(self._name_of)}")
            with VerticalScroll(classes="body"):
                yield HangingIndent(format_push_plan(self._plan))
            with Horizontal(classes="buttons"):
                yield Button(_answer("n", "close" if nothing else "cancel"), id="no", compact=True)
                if not nothing:
                    yield Button(_answer("y", "push"), id="yes", variant="primary", compact=True)

    def on_mount(self) -> None:
        """A rejected push costs nothing, so Enter may send."""
        self.query("Button").last().focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A button answers."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """A key answers; there may be nothing to say yes to."""
        self.dismiss(yes and bool(self.query("#yes")))


class PushResultDialog(ModalScreen[None]):
    """What the remote said, its links to be copied."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy"),
        Binding("escape,q,enter,n", "dismiss(None)", "Close"),
        Binding("j,down", "turn(1)", "Next link", show=False),
        Binding("k,up", "turn(-1)", "Link before", show=False),
    ]

    def __init__(self, name: str, pushed: PushResult) -> None:
        super().__init__()
        self._name_of = name
        self._pushed = pushed
        self._at = 0

    def compose(self) -> ComposeResult:
        """The remote's words, the links among them one by one."""
        with Vertical(classes="box -push") as box:
            box.border_title = Content(f"Pushed {clean(self._name_of)}")
            with VerticalScroll(classes="body"):
                yield HangingIndent(id="said")
            with Horizontal(classes="buttons"):
                yield Button(_answer("enter", "close"), id="close", compact=True)
                if self._pushed.links:
                    yield Button(_answer("y", "copy the link"), id="copy", variant="primary", compact=True)

    def on_mount(self) -> None:
        """The link is what one wants next."""
        self._draw()
        self.query_one("#close").focus()

    def _draw(self) -> None:
        self.query_one("#said", HangingIndent).update(format_push_result(self._pushed, self._at))

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A button answers."""
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.dismiss(None)

    def action_turn(self, step: int) -> None:
        """Choose another link."""
        if self._pushed.links:
            self._at = (self._at + step) % len(self._pushed.links)
            self._draw()

    def action_copy(self) -> None:
        """The chosen link into the clipboard of the user's own terminal."""
        if self._pushed.links:
            link = clean(self._pushed.links[self._at], limit=2000)
            self.app.copy_to_clipboard(link)
            self.notify(f"Copied {link}", markup=False)


def format_push_plan(plan: PushPlan) -> Content:
    """Where to, what branch, which commits; and what stands in the way."""
    branch = f"{clean(plan.branch)}{' (new there)' if plan.new_branch else ''}"
    lines = [
        _pair("to", clean(plan.remote)),
        _pair("branch", branch),
        _pair("commits", f"{plan.count}" if plan.count else "none: the remote has them all"),
    ]
    for commit in plan.commits[:_LISTED]:
        lines.append(
            Content.assemble((f"{'':12}{clean(commit.hash)[:8]}  ", "$text-primary"), clean(commit.subject, limit=120))
        )
    if plan.count > min(len(plan.commits), _LISTED):
        more = plan.count - min(len(plan.commits), _LISTED)
        lines.append(Content.styled(f"{'':12}and {more} more", "$foreground-muted"))
    if plan.diverged:
        words = f"{key_of('update')} brings them in first, with a merge or a rebase; then push again."
        lines += [
            Content(""),
            Content.styled(
                "The remote has commits that the session lacks: it would reject the push.", "bold $text-warning"
            ),
            Content.styled(words, "$foreground-muted"),
        ]
    lines += [Content(""), Content.styled("With your own credentials, from this machine.", "$foreground-muted")]
    return Content("\n").join(lines)


def format_push_result(pushed: PushResult, at: int) -> Content:
    """What went, the remote's lines, its links with the chosen one marked."""
    lines = [_pair("branch", clean(pushed.branch)), _pair("commit", clean(pushed.commit)[:12])]
    said = [clean(line, limit=300) for line in pushed.said if line.strip()]
    if said:
        lines += [Content(""), Content.styled("The remote says:", "$foreground-muted")]
        lines += [Content(f"  {line}") for line in said]
    if pushed.links:
        lines.append(Content(""))
    for number, link in enumerate(pushed.links):
        mark, style = ("> ", "bold underline $text-primary") if number == at else ("  ", "underline")
        lines.append(Content.assemble(mark, (clean(link, limit=2000), style)))
    return Content("\n").join(lines)


def _pair(label: str, value: str) -> Content:
    return Content.assemble((f"{label:<12}", "$foreground-muted"), value)


def _answer(key: str, words: str) -> Content:
    """A button's words behind the key that presses it."""
    return Content.assemble((key, "bold"), f" {words}")
