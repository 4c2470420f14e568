"""Dialog with the checks of this machine: a row for each result, and below it the command that fixes it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen

from relay_tui.domain.errors import CancelledError
from relay_tui.ports.task import TaskContext
from relay_tui.services.doctor import Check, CheckResult, CheckStatus, Doctor
from relay_tui.services.doctor.results import format_counts
from relay_tui.terminal_info import TerminalInfo, detect_terminal
from relay_tui.text.sanitize import clean, redact
from relay_tui.ui.keys.actions import BY_NAME
from relay_tui.ui.presentation.columns import Cell, Column, Row, cell
from relay_tui.ui.presentation.formatting import TONES, Tone
from relay_tui.ui.widgets.hanging_indent import HangingIndent
from relay_tui.ui.widgets.table.table import KeyedTable

COLUMNS = (
    Column("verdict", "", width=10, priority=90),
    Column("name", "", min_width=8, max_width=24, priority=100),
    Column("found", "", min_width=16, grow=1, priority=80),
)
_TONES: dict[CheckStatus, Tone] = {
    CheckStatus.OK: "good",
    CheckStatus.WARNING: "busy",
    CheckStatus.BROKEN: "bad",
    CheckStatus.ABSENT: "dim",
    CheckStatus.UNKNOWN: "dim",
}
_MARKS = {
    CheckStatus.OK: "●*",
    CheckStatus.WARNING: "▲^",
    CheckStatus.BROKEN: "✗!",
    CheckStatus.ABSENT: "○-",
    CheckStatus.UNKNOWN: "◇?",
}
"""Marks for terminals with Unicode, and in ASCII."""

_AROUND_ROWS = 9
"""Lines of the box besides the rows: its frame and the text of the row under the cursor."""


def check_row(check: Check, found: CheckResult | None, *, ascii_only: bool) -> Row:
    """Return the row of a check; `found` is None while the check runs."""
    if found is None:
        mark = "~" if ascii_only else "◌"
        return Row(check.name, (cell(f"{mark} checking", "dim"), cell(clean(check.name), "dim"), Cell()))
    tone = _TONES[found.verdict]
    mark = _MARKS[found.verdict][ascii_only]
    words = cell(clean(redact(found.found)), "dim" if tone == "dim" else "")
    return Row(check.name, (cell(f"{mark} {found.verdict}", tone), cell(clean(check.name), "bold"), words))


def format_result(found: CheckResult | None, *, ascii_only: bool) -> Content:
    """Return the full text of a result and the command that fixes it."""
    if found is None:
        return Content.styled("Checking.", "$foreground-muted")
    parts = [Content.styled(clean(redact(found.found), limit=1200), TONES[_TONES[found.verdict]])]
    if found.fix and found.verdict is not CheckStatus.OK:
        arrow = "->" if ascii_only else "→"
        parts.append(Content.assemble((f"{arrow}  ", "$foreground-muted"), (clean(redact(found.fix)), "bold")))
    return Content("\n").join(parts)


class DoctorScreen(ModalScreen[None]):
    """List of check results. Every row is there from the start, so none moves when a result arrives."""

    CSS_PATH = "doctor.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Check again"),
        Binding("y", "copy", "Copy the command"),
        Binding("escape", "dismiss(None)", "Close"),
        *(Binding(a.keys, "dismiss(None)", id=a.binding_id, show=False) for a in (BY_NAME["doctor"], BY_NAME["quit"])),
    ]

    class Found(Message):
        """Message: a check has a result. `round_` identifies the results of an earlier run."""

        def __init__(self, finding: CheckResult, round_: int) -> None:
            super().__init__()
            self.finding = finding
            self.round = round_

    class Began(Message):
        """Message: the list of checks is known."""

        def __init__(self, checks: list[Check], round_: int) -> None:
            super().__init__()
            self.checks = checks
            self.round = round_

    def __init__(self, doctor: Doctor, *, ascii_only: bool) -> None:
        super().__init__()
        self._doctor = doctor
        self._ascii_only = ascii_only
        self._checks: list[Check] = []
        self._findings: dict[str, CheckResult] = {}
        self._round = 0
        self._check_task = TaskContext()

    def compose(self) -> ComposeResult:
        """Build the rows, then the full text of the row under the cursor."""
        with Vertical(classes="doctor") as box:
            box.border_title = "Requirements on this machine"
            yield KeyedTable(COLUMNS, ascii=self._ascii_only, show_header=False, placeholder="Checking …", id="checks")
            with VerticalScroll(id="finding", can_focus=False):
                yield HangingIndent(id="words")

    def on_mount(self) -> None:
        """Start the checks."""
        self.query_one(KeyedTable).focus()
        self.action_again()

    def on_unmount(self) -> None:
        """Cancel the checks."""
        self._check_task.cancel()

    def action_again(self) -> None:
        """Run all checks again."""
        self._check_task.cancel()
        self._check_task = TaskContext()
        self._round += 1
        self._findings = {}
        self._draw()
        self._look(self._check_task, self._round, self._terminal())

    @work(thread=True, group="doctor", exit_on_error=False)
    def _look(self, task: TaskContext, round_: int, terminal: TerminalInfo) -> None:
        checks = self._doctor.checks(terminal)
        self.post_message(self.Began(checks, round_))
        try:
            self._doctor.examine(checks, lambda found: self.post_message(self.Found(found, round_)), task)
        except CancelledError:
            return

    def _terminal(self) -> TerminalInfo:
        """Return the terminal that relay is drawn on."""
        colours = {"truecolor": 1 << 24, "256": 256, "standard": 16}.get(self.app.console.color_system or "", 0)
        size = self.app.size
        return replace(detect_terminal(), columns=size.width, lines=size.height, colours=colours)

    @on(Began)
    def began(self, message: Began) -> None:
        """Show a row for every check."""
        if message.round == self._round:
            self._checks = message.checks
            self.query_one(".doctor").styles.height = len(self._checks) + _AROUND_ROWS
            self._draw()

    @on(Found)
    def found(self, message: Found) -> None:
        """Show a result on its row."""
        if message.round == self._round:
            self._findings[message.finding.name] = message.finding
            self._draw()

    @on(KeyedTable.CursorMoved)
    def cursor_moved(self, _: KeyedTable.CursorMoved) -> None:
        """Show the full text of the row under the cursor."""
        self._draw_words()

    def _draw(self) -> None:
        table = self.query_one(KeyedTable)
        rows = [check_row(c, self._findings.get(c.name), ascii_only=self._ascii_only) for c in self._checks]
        table.set_rows(rows)
        left = len(self._checks) - len(self._findings)
        status = f"{left} running" if left else format_counts([*self._findings.values()])
        box = self.query_one(".doctor")
        box.border_subtitle = Content(f"{status}   r again   y copy   esc closes")
        self._draw_words()

    def _draw_words(self) -> None:
        key = self.query_one(KeyedTable).cursor_key
        if key is not None:
            words = format_result(self._findings.get(key), ascii_only=self._ascii_only)
            self.query_one("#words", HangingIndent).update(words)

    def action_copy(self) -> None:
        """Copy the command under the cursor to the clipboard of the terminal."""
        found = self._findings.get(self.query_one(KeyedTable).cursor_key or "")
        if found is None or not found.fix or found.verdict is CheckStatus.OK:
            self.notify("Nothing to fix.")
            return
        self.app.copy_to_clipboard(clean(found.fix))
        self.notify(f"Copied: {clean(found.fix)}", markup=False)
