"""`relay reconcile` and `relay purge`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import progress
from relay_tui.domain.errors import EngineUnreachableError, InvalidInputError, RelayError
from relay_tui.domain.hints import render_for_cli
from relay_tui.text import sanitize
from relay_tui.text.format import format_size

if TYPE_CHECKING:
    from relay_tui.services.reconcile.orphans import OrphanResult
    from relay_tui.services.reconcile.planner import Step
    from relay_tui.services.reconcile.reconciler import Reconciler


@click.command(short_help="Finish what a killed relay began; settle what no record knows.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--adopt-unknown", is_flag=True, help="Put clones that no record knows on record, with their containers.")
@click.option(
    "--trash-unknown", is_flag=True, help="Move clones that no record knows to the trash; remove such containers."
)
@command
def reconcile(desk: CommandContext, dry_run: bool, adopt_unknown: bool, trash_unknown: bool) -> int:
    """Make records, clones and containers agree: finish what a killed relay began, note what other tools did.

    What no record knows is only reported, unless you ask for it to be adopted or to go.
    """
    if adopt_unknown and trash_unknown:
        raise InvalidInputError("adopt-unknown", "--adopt-unknown and --trash-unknown exclude each other")
    reconciler = desk.relay.reconciler
    if dry_run:
        _print_plan(desk, reconciler)
        return _exit_code(desk, reconciler, failed=False)
    result = _carry_out(desk, adopt=adopt_unknown, trash=trash_unknown)
    if desk.output.as_json:
        desk.output.document(_result_document(result) | {"unseen": sorted(reconciler.unreachable)})
    else:
        _print_result(desk, reconciler, result)
    return _exit_code(desk, reconciler, failed=result.has_failures)


@dataclass(frozen=True, slots=True)
class _Result:
    """The outcome of a run: the steps carried out, the orphans found, and those of them adopted or trashed."""

    done: Sequence[tuple[Step, RelayError | None]]
    orphans: Sequence[Step]
    settled: Sequence[OrphanResult]
    verb: str  # "adopted" or "trashed", the outcome of the steps in `settled`

    @property
    def open_orphans(self) -> Sequence[Step]:
        """The orphans that were only reported."""
        return () if self.settled else self.orphans

    @property
    def has_failures(self) -> bool:
        """Whether a step failed."""
        return any(error for _, error in self.done) or any(one.error for one in self.settled)


def _carry_out(desk: CommandContext, *, adopt: bool, trash: bool) -> _Result:
    """Carry out all steps, then adopt or trash the orphans on request."""
    from relay_tui.services.reconcile.planner import ASKS

    reconciler, strays = desk.relay.reconciler, desk.relay.strays
    with progress() as task:
        done = reconciler.carry_out_all(task)
        orphans = [step for step in reconciler.plan() if step.act in ASKS]
        settled = (strays.adopt if adopt else strays.trash)(orphans) if adopt or trash else []
        if adopt:  # adopted clones have steps of their own
            done += reconciler.carry_out_all(task)
    return _Result(done, orphans, settled, "adopted" if adopt else "trashed")


def _print_plan(desk: CommandContext, reconciler: Reconciler) -> None:
    """Print the steps of a dry run."""
    steps = reconciler.plan()
    if desk.output.as_json:
        desk.output.document({"steps": [_document(step) for step in steps], "unseen": sorted(reconciler.unreachable)})
    desk.output.say("\n".join(format_step(step) for step in steps) or _nothing(reconciler))


def _result_document(result: _Result) -> dict[str, object]:
    """Return the JSON fields of a run."""
    document: dict[str, object] = {"done": [_document(step) | {"error": _error(error)} for step, error in result.done]}
    document["unknown"] = [_document(step) for step in result.open_orphans]
    if result.settled:
        document[result.verb] = [_document(one.step) | {"error": _error(one.error)} for one in result.settled]
    return document


def _print_result(desk: CommandContext, reconciler: Reconciler, result: _Result) -> None:
    """Print a line for each step of a run."""
    outcomes = [("done", step, error) for step, error in result.done]
    outcomes += [(result.verb, one.step, one.error) for one in result.settled]
    for verb, step, error in outcomes:
        desk.output.say(f"{'failed' if error else verb:<7} {sanitize.clean(step.words)}{_because(error)}")
    for step in result.open_orphans:
        desk.output.say(f"unknown {sanitize.clean(step.words)}")
    if result.open_orphans:
        desk.output.say("Orphans are left alone; use --adopt-unknown or --trash-unknown.")
    if not result.done and not result.orphans:
        desk.output.say(_nothing(reconciler))


def _nothing(reconciler: Reconciler) -> str:
    return "Nothing to do (some runtimes could not be checked)." if reconciler.unreachable else "Nothing to do."


def _exit_code(desk: CommandContext, reconciler: Reconciler, *, failed: bool) -> int:
    """Return the exit code: 1 after a failure, else 5 if a runtime could not be checked. Warn about the latter."""
    code = 1 if failed else 0
    if not reconciler.unreachable:
        return code
    if not desk.output.as_json:
        click.echo("relay: the engine does not answer: its sessions were not looked at", err=True)
    return code or EngineUnreachableError.exit_code


@click.command(short_help="Empty the trash of what is past its time.")
@click.option("--older-than", default="", help="An age like 12h or 7d; 0 purges all [what is configured].")
@command
def purge(desk: CommandContext, older_than: str) -> int:
    """Delete for good what lies in the trash and whose time is up, and say how much space that freed."""
    days = _days(older_than) if older_than else None
    with progress() as task:
        purged = desk.relay.trash.purge(days, task)
    if desk.output.as_json:
        desk.output.document(asdict(purged))
    desk.output.say(f"Purged {purged.entries} from the trash; {format_size(purged.freed)} freed.")
    for remnant in purged.left if not desk.output.as_json else ():
        click.echo(f"relay: could not delete all of {sanitize.clean(remnant.path)}", err=True)
        click.echo(f"  {sanitize.clean(remnant.why)}\n  The next purge tries again.", err=True)
    return 1 if purged.left else 0


def _days(age: str) -> float:
    found = re.fullmatch(r"(\d+)([smhdw]?)", age.strip())
    if found is None:
        raise InvalidInputError("older-than", f"'{age}' is not an age", hint="Like 12h, 7d or 0.")
    return int(found[1]) * {"s": 1 / 86_400, "m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "": 1}[found[2]]


def _document(step: Step) -> dict[str, object]:
    return {"act": str(step.act), "subject": step.subject, "words": step.words}


def format_step(step: Step) -> str:
    return f"{step.act:<22} {sanitize.clean(step.words)}"


def _error(error: RelayError | None) -> dict[str, str] | None:
    if error is None:
        return None
    fault = error.fault
    hint = render_for_cli(fault.hint, error.about)
    return {"kind": fault.kind, "title": fault.title, "detail": sanitize.redact(fault.detail), "hint": hint}


def _because(error: RelayError | None) -> str:
    return f": {sanitize.clean(sanitize.redact(error.title))}" if error else ""
