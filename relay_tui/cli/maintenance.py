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


@click.command(short_help="Complete interrupted work; handle orphans.")
@click.option("--dry-run", is_flag=True, help="Only print the steps.")
@click.option("--adopt-unknown", is_flag=True, help="Adopt orphaned clones with their containers.")
@click.option("--trash-unknown", is_flag=True, help="Move orphaned clones to the trash and remove orphaned containers.")
@command
def reconcile(ctx: CommandContext, dry_run: bool, adopt_unknown: bool, trash_unknown: bool) -> int:
    """Compare records, clones and containers. Complete interrupted work and record what other tools did.

    Orphaned clones and containers are only reported, unless you use one of the options.
    """
    if adopt_unknown and trash_unknown:
        raise InvalidInputError("adopt-unknown", "--adopt-unknown and --trash-unknown exclude each other")
    reconciler = ctx.relay.reconciler
    if dry_run:
        _print_plan(ctx, reconciler)
        return _exit_code(ctx, reconciler, failed=False)
    result = _carry_out(ctx, adopt=adopt_unknown, trash=trash_unknown)
    if ctx.output.as_json:
        ctx.output.document(_result_document(result) | {"unseen": sorted(reconciler.unreachable)})
    else:
        _print_result(ctx, reconciler, result)
    return _exit_code(ctx, reconciler, failed=result.has_failures)


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


def _carry_out(ctx: CommandContext, *, adopt: bool, trash: bool) -> _Result:
    """Carry out all steps, then adopt or trash the orphans on request."""
    from relay_tui.services.reconcile.planner import ASKS

    reconciler, strays = ctx.relay.reconciler, ctx.relay.orphans
    with progress() as task:
        done = reconciler.carry_out_all(task)
        orphans = [step for step in reconciler.plan() if step.act in ASKS]
        settled = (strays.adopt if adopt else strays.trash)(orphans) if adopt or trash else []
        if adopt:  # adopted clones have steps of their own
            done += reconciler.carry_out_all(task)
    return _Result(done, orphans, settled, "adopted" if adopt else "trashed")


def _print_plan(ctx: CommandContext, reconciler: Reconciler) -> None:
    """Print the steps of a dry run."""
    steps = reconciler.plan()
    if ctx.output.as_json:
        ctx.output.document({"steps": [_document(step) for step in steps], "unseen": sorted(reconciler.unreachable)})
    ctx.output.say("\n".join(format_step(step) for step in steps) or _nothing(reconciler))


def _result_document(result: _Result) -> dict[str, object]:
    """Return the JSON fields of a run."""
    document: dict[str, object] = {"done": [_document(step) | {"error": _error(error)} for step, error in result.done]}
    document["unknown"] = [_document(step) for step in result.open_orphans]
    if result.settled:
        document[result.verb] = [_document(one.step) | {"error": _error(one.error)} for one in result.settled]
    return document


def _print_result(ctx: CommandContext, reconciler: Reconciler, result: _Result) -> None:
    """Print a line for each step of a run."""
    outcomes = [("done", step, error) for step, error in result.done]
    outcomes += [(result.verb, one.step, one.error) for one in result.settled]
    for verb, step, error in outcomes:
        ctx.output.say(f"{'failed' if error else verb:<7} {sanitize.clean(step.words)}{_because(error)}")
    for step in result.open_orphans:
        ctx.output.say(f"unknown {sanitize.clean(step.words)}")
    if result.open_orphans:
        ctx.output.say("Orphans are left alone; use --adopt-unknown or --trash-unknown.")
    if not result.done and not result.orphans:
        ctx.output.say(_nothing(reconciler))


def _nothing(reconciler: Reconciler) -> str:
    return "Nothing to do (some runtimes could not be checked)." if reconciler.unreachable else "Nothing to do."


def _exit_code(ctx: CommandContext, reconciler: Reconciler, *, failed: bool) -> int:
    """Return the exit code: 1 after a failure, else 5 if a runtime could not be checked. Warn about the latter."""
    code = 1 if failed else 0
    if not reconciler.unreachable:
        return code
    if not ctx.output.as_json:
        click.echo("relay: the engine does not answer: its sessions were not checked", err=True)
    return code or EngineUnreachableError.exit_code


@click.command(short_help="Delete expired entries from the trash.")
@click.option("--older-than", default="", help="Minimum age like 12h or 7d; 0 purges all [trash_days].")
@command
def purge(ctx: CommandContext, older_than: str) -> int:
    """Delete expired entries from the trash and print the freed space."""
    days = _days(older_than) if older_than else None
    with progress() as task:
        purged = ctx.relay.trash.purge(days, task)
    if ctx.output.as_json:
        ctx.output.document(asdict(purged))
    ctx.output.say(f"Purged {purged.entries} from the trash; {format_size(purged.freed)} freed.")
    for remnant in purged.left if not ctx.output.as_json else ():
        click.echo(f"relay: could not delete all of {sanitize.clean(remnant.path)}", err=True)
        click.echo(f"  {sanitize.clean(remnant.why)}\n  The next purge tries again.", err=True)
    return 1 if purged.left else 0


def _days(age: str) -> float:
    found = re.fullmatch(r"(\d+)([smhdw]?)", age.strip())
    if found is None:
        raise InvalidInputError("older-than", f"'{age}' is not an age", hint="Use a form like 12h, 7d or 0.")
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
