"""`relay doctor`."""

from __future__ import annotations

import shutil
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path

import click

from relay_tui import text, wiring
from relay_tui.cli.output import Output, progress
from relay_tui.services.doctor import Finding, Verdict
from relay_tui.services.doctor.findings import summary
from relay_tui.terminal import this_terminal

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.BROKEN: "red", Verdict.ABSENT: "bright_black"}
_WIDTH = 9
"""Of the column with the verdict."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where relay keeps everything.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60.0, help="The most seconds that a look may take [5 to 10]."
)
@click.pass_context
def doctor(context: click.Context, as_json: bool, data_dir: Path | None, timeout: float) -> int:
    """Look at everything relay needs on this machine, and say what mends what is wrong.

    Ends with 1 if anything is broken. Every look has a deadline.
    """
    output = Output(as_json)
    examiner = wiring.examine(data_dir or context.find_root().obj)
    wiring.log_to_file(debug=bool(context.find_root().params.get("debug")))
    checks = examiner.checks(this_terminal(), timeout)
    width = min(max(len(text.clean(check.name)) for check in checks), 24)
    with progress() as watch:
        findings = examiner.examine(checks, lambda found: output.say(_lines(found, width)), watch)
    if as_json:
        output.document(_document(findings))
    output.say(f"\n{summary(findings)}")
    return 1 if any(found.verdict is Verdict.BROKEN for found in findings) else 0


def _lines(found: Finding, width: int) -> str:
    """A result: verdict, name, what was found, folded; below it what mends it."""
    verdict = click.style(f"{found.verdict:<{_WIDTH}}", fg=_COLOURS[found.verdict])
    indent = " " * (_WIDTH + width + 3)
    room = max(40, shutil.get_terminal_size((100, 24)).columns - len(indent) - 1)
    words = text.clean(text.redact(found.found), limit=1000)
    name = text.clean(found.name, limit=24)
    folded = textwrap.wrap(words, room, break_long_words=False) if sys.stdout.isatty() else [words]
    first, *more = folded or [""]
    lines = [f"{verdict} {name:<{width}}  {first}", *(f"{indent}{line}" for line in more)]
    if found.mend and found.verdict is not Verdict.OK:
        arrow = "→" if "utf" in (sys.stdout.encoding or "").lower() else "->"
        lines.append(f"{indent}{arrow} {text.clean(text.redact(found.mend))}")
    return "\n".join(lines)


def _document(findings: list[Finding]) -> dict[str, object]:
    counts = {str(verdict): sum(found.verdict is verdict for found in findings) for verdict in Verdict}
    rows = [_row(found) for found in findings]
    return {"ok": not counts[Verdict.BROKEN], "counts": counts, "findings": rows}


def _row(found: Finding) -> dict[str, object]:
    row: dict[str, object] = asdict(found)
    return row | {key: text.redact(str(row[key])) for key in ("found", "mend")} | {"verdict": str(found.verdict)}
