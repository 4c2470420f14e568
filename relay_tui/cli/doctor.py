"""`relay doctor`."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay_tui.cli.output import Output, progress
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.ports.task import TaskContext
    from relay_tui.services.doctor import Check, CheckResult

_COLOURS = {"ok": "green", "warning": "yellow", "broken": "red"}
"""Colours by status. Other lines are dim, because bright black is the background of some terminals."""
_WIDTH = 9
"""Width of the status column."""


@click.command(short_help="Check this machine and show how to fix problems.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=60.0,
    help="Time limit in seconds for all checks [60]. Each check has its own limit of 5 to 14.",
)
@click.pass_context
def doctor(context: click.Context, as_json: bool, data_dir: Path | None, timeout: float) -> int:
    """Check everything that relay needs on this machine and show the command that fixes each problem.

    Nothing is changed. A check that depends on something that does not answer is "unknown". The exit code is 1 if
    anything is broken. The command ends within the timeout.
    """
    from relay_tui.bootstrap import container
    from relay_tui.services.doctor.results import CheckStatus, format_counts
    from relay_tui.terminal_info import detect_terminal

    import_module("relay_tui.bootstrap.demo")  # every adapter: on a busy machine that takes longer than a check may
    output = Output(as_json)
    begun = time.monotonic()
    examiner = container.build_doctor(
        data_dir or context.find_root().obj, debug=bool(context.find_root().params.get("debug"))
    )
    checks = examiner.checks(detect_terminal(), timeout)
    with progress() as task:
        left = timeout - (time.monotonic() - begun)
        findings = examiner.examine(checks, _Progress(checks, task), task, max(0.1, left))
    if as_json:
        output.document(_document(findings))
    width = min(max(len(sanitize.clean(found.name)) for found in findings), 24)
    for found in findings:
        output.say(_lines(found, width))
    output.say(f"\n{format_counts(findings)}")
    return 1 if any(found.verdict is CheckStatus.BROKEN for found in findings) else 0


class _Progress:
    """Progress on a terminal: the checks that still run. The results follow at the end, in their own order."""

    def __init__(self, checks: Sequence[Check], task: TaskContext) -> None:
        self._left = [check.name for check in checks]
        self._count = len(checks)
        self._task = task

    def __call__(self, found: CheckResult) -> None:
        """One less."""
        self._left.remove(found.name)
        named = ", ".join(self._left[:4]) + (", …" if len(self._left) > 4 else "")
        self._task.report("Looking", 1 - len(self._left) / self._count, named)


def _lines(found: CheckResult, width: int) -> str:
    """Return the lines of a result: status, name, finding, and below it the fix."""
    from relay_tui.services.doctor.results import CheckStatus

    colour = _COLOURS.get(found.verdict)
    verdict = click.style(f"{found.verdict:<{_WIDTH}}", fg=colour, dim=colour is None)
    indent = " " * (_WIDTH + width + 3)
    room = max(40, shutil.get_terminal_size((100, 24)).columns - len(indent) - 1)
    words = sanitize.clean(sanitize.redact(found.found), limit=1000)
    name = sanitize.clean(found.name, limit=24)
    folded = textwrap.wrap(words, room, break_long_words=False) if sys.stdout.isatty() else [words]
    first, *more = folded or [""]
    lines = [f"{verdict} {name:<{width}}  {first}", *(f"{indent}{line}" for line in more)]
    if found.fix and found.verdict is not CheckStatus.OK:
        arrow = "→" if "utf" in (sys.stdout.encoding or "").lower() else "->"
        lines.append(f"{indent}{arrow} {sanitize.clean(sanitize.redact(found.fix))}")
    return "\n".join(lines)


def _document(findings: list[CheckResult]) -> dict[str, object]:
    from relay_tui.services.doctor.results import CheckStatus

    counts = {str(verdict): sum(found.verdict is verdict for found in findings) for verdict in CheckStatus}
    rows = [_row(found) for found in findings]
    return {"ok": not counts[CheckStatus.BROKEN], "counts": counts, "findings": rows}


def _row(found: CheckResult) -> dict[str, object]:
    return {
        "name": found.name,
        "verdict": str(found.verdict),
        "found": sanitize.redact(found.found),
        "mend": sanitize.redact(found.fix),
        "seconds": found.seconds,
    }
