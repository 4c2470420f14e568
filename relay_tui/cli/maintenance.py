"""`relay reconcile` and `relay purge`."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import progress
from relay_tui.domain.errors import EngineUnreachableError, InvalidInputError, RelayError
from relay_tui.domain.hints import render_for_cli
from relay_tui.text import sanitize
from relay_tui.text.format import format_size

if TYPE_CHECKING:
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
    from relay_tui.services.reconcile.planner import ASKS

    if adopt_unknown and trash_unknown:
        raise InvalidInputError("adopt-unknown", "--adopt-unknown and --trash-unknown exclude each other")
    reconciler, strays = desk.relay.reconciler, desk.relay.strays
    if dry_run:
        steps = reconciler.plan()
        if desk.output.as_json:
            desk.output.document(
                {"steps": [_document(step) for step in steps], "unseen": sorted(reconciler.unreachable)}
            )
        desk.output.say("\n".join(format_step(step) for step in steps) or _nothing(reconciler))
        return _seen_all(desk, reconciler, 0)
    with progress() as task:
        done = reconciler.carry_out_all(task)
        unknown = [step for step in reconciler.plan() if step.act in ASKS]
        settled = (strays.adopt if adopt_unknown else strays.trash)(unknown) if adopt_unknown or trash_unknown else []
        if adopt_unknown:
            done += reconciler.carry_out_all(task)
    word = "adopted" if adopt_unknown else "trashed"
    if desk.output.as_json:
        document: dict[str, object] = {"done": [_document(step) | {"error": _error(error)} for step, error in done]}
        document["unknown"] = [_document(step) for step in unknown] if not settled else []
        if settled:
            document[word] = [_document(one.step) | {"error": _error(one.error)} for one in settled]
        desk.output.document(document | {"unseen": sorted(reconciler.unreachable)})
    for step, error in done:
        desk.output.say(f"{'failed' if error else 'done':<7} {sanitize.clean(step.words)}{_because(error)}")
    for one in settled:
        desk.output.say(f"{'failed' if one.error else word:<7} {sanitize.clean(one.step.words)}{_because(one.error)}")
    for step in unknown if not settled else ():
        desk.output.say(f"unknown {sanitize.clean(step.words)}")
    if unknown and not settled:
        desk.output.say("What is unknown stays; --adopt-unknown puts it on record, --trash-unknown moves it away.")
    if not done and not unknown:
        desk.output.say(_nothing(reconciler))
    failed = 1 if any(error for _, error in done) or any(one.error for one in settled) else 0
    return _seen_all(desk, reconciler, failed)


def _nothing(reconciler: Reconciler) -> str:
    return "Nothing to do that could be seen." if reconciler.unreachable else "Nothing to do."


def _seen_all(desk: CommandContext, reconciler: Reconciler, code: int) -> int:
    """The exit code; 5 when all went well, but for what could not be seen."""
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
