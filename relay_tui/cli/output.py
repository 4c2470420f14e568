"""Output of commands: JSON or text on stdout, errors and progress on stderr."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING

import click

from relay_tui.domain.errors import Fault
from relay_tui.domain.hints import render_for_cli
from relay_tui.domain.models import DesiredState, Project, Records, Session, SessionState
from relay_tui.ports.task import TaskContext
from relay_tui.services.naming import full_name
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.services.relay import Relay

_NOT_ASCII = re.compile(r"[^\n -~]")


def _as_json(character: str) -> str:
    """Characters that are replaced: terminal controls and characters without an encoding."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


@dataclass(frozen=True, slots=True)
class Output:
    """Output of results. `as_json`: one JSON document on stdout, errors as one document on stderr."""

    as_json: bool = False

    def document(self, value: object) -> None:
        """Print `value` as the command's one JSON document."""
        words = json.dumps(value, indent=2, ensure_ascii=False)
        click.echo(_NOT_ASCII.sub(lambda found: _as_json(found[0]), words))

    def say(self, words: str) -> None:
        """Print a line of text; nothing with --json."""
        if not self.as_json:
            click.echo(words)


def describe(fault: Fault, about: str = "") -> Fault:
    """Return a fault with its hint as commands for its session or project."""
    return replace(fault, hint=render_for_cli(fault.hint, about))


def fail(output: Output, fault: Fault, about: str = "") -> None:
    """Print an error: title, detail from git or the engine, hint."""
    fault = describe(fault, about)
    if output.as_json:
        document = {key: sanitize.redact(value) for key, value in asdict(fault).items()}
        click.echo(json.dumps({"error": document}, ensure_ascii=False), err=True)
        return
    click.echo(f"relay: {sanitize.clean(sanitize.redact(fault.title))}", err=True)
    for line in sanitize.clean_block(sanitize.redact(fault.detail)).splitlines():
        click.echo(f"  {line}", err=True)
    if fault.hint:
        click.echo(
            f"  → {sanitize.clean(fault.hint)}" if _utf8(sys.stderr) else f"  -> {sanitize.clean(fault.hint)}", err=True
        )


def _utf8(stream: object) -> bool:
    return "utf" in (getattr(stream, "encoding", "") or "").lower()


@contextmanager
def progress() -> Iterator[TaskContext]:
    """Yield a task context that draws progress on a terminal and is cancelled by ctrl+c or a hang-up."""
    bar = _Bar() if sys.stderr.isatty() else None
    task = TaskContext(bar.draw if bar else None)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in signals}
    try:
        yield task
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if bar:
            bar.wipe()


class _Bar:
    """Progress line, redrawn in place at most ten times a second."""

    def __init__(self) -> None:
        self._stage = ""
        self._drawn_at = 0.0

    def draw(self, stage: str, fraction: float | None, detail: str) -> None:
        if stage == self._stage and time.monotonic() - self._drawn_at < 0.1:
            return
        self._stage, self._drawn_at = stage, time.monotonic()
        done = "" if fraction is None else f" [{'#' * int(fraction * 20):<20}] {fraction:4.0%}"
        line = sanitize.clean(f"{stage}{done}  {detail}")[: shutil.get_terminal_size().columns - 1]
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    def wipe(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def warn_of_trash(relay: Relay) -> None:
    """Print a warning to stderr if the trash uses too much of the disk."""
    if warning := relay.trash.too_full():
        click.echo(f"relay: {warning}", err=True)


def project_document(project: Project, records: Records) -> dict[str, object]:
    """Return a project as JSON: the fields of the data model and its number of sessions."""
    error = asdict(describe(project.clone_error, project.name)) if project.clone_error else None
    return asdict(project) | {"clone_error": error, "sessions": len(records.live_sessions(project.id))}


def session_document(session: Session, records: Records) -> dict[str, object]:
    """Return a session as JSON: the fields of the data model and its project's name."""
    project = records.projects.get(session.project_id)
    error = asdict(describe(session.error_reason, full_name(records, session))) if session.error_reason else None
    more = {"error_reason": error, "project": project.name if project else "", "notes": list(session.notes)}
    return asdict(session) | more


def print_result(made: Session, words: str) -> str:
    """Return the result of a start: `words` if the session runs; its command may have ended already, without error."""
    if (
        made.deleted_at is not None
        or made.desired is not DesiredState.RUNNING
        or made.state is not SessionState.STOPPED
    ):
        return words
    return "is stopped" if made.exit_code is None else f"ended, exit code {made.exit_code}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows aligned in columns, measured in terminal cells: wide characters take two."""
    from rich.cells import cell_len  # rich is slow to import: commands without a table do without

    lines = [tuple(headings), *[tuple(sanitize.clean(cell) for cell in row) for row in rows]]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(headings))]
    padded = (
        [cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def listing(pairs: Mapping[str, str]) -> str:
    """Return labels and values, one per line. Further lines of a value are indented, empty values left out."""
    shown = {label: sanitize.clean_block(value) for label, value in pairs.items() if value}
    width = max(map(len, shown), default=0)
    return "\n".join(
        f"{label:<{width}}  {value.replace(chr(10), chr(10) + ' ' * (width + 2))}" for label, value in shown.items()
    )


def format_fault(fault: Fault | None, about: str) -> str:
    """Return the lines of an error in a listing, with commands for its session or project."""
    lines = () if fault is None else (fault.title, fault.detail, render_for_cli(fault.hint, about))
    return "\n".join(filter(None, lines))
