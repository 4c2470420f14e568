"""`relay session remove`: asks, rescues, refuses what would lose work."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from relay_tui import text
from relay_tui.cli.output import Desk, command, progress, session_document, warn_of_trash
from relay_tui.errors import InvalidInputError
from relay_tui.services import names
from relay_tui.work import Rescue


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--force", is_flag=True, help="Neither ask nor look for unsaved work; it goes to the trash.")
@click.option("--push", "push", is_flag=True, help="Push its branch first.")
@click.option("--keep", is_flag=True, help="Keep its branches and stashes in the project's base clone first.")
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="Save them as a git bundle first.")
@command
def remove(desk: Desk, reference: str, force: bool, push: bool, keep: bool, bundle: Path | None) -> None:
    """Remove a session: its container goes, its clone moves to the trash.

    Refused, with exit code 4, while it holds work that is nowhere else.
    """
    chosen = [(push, Rescue.PUSH), (keep, Rescue.KEEP), (bundle is not None, Rescue.BUNDLE)]
    rescues = [rescue for wanted, rescue in chosen if wanted]
    if len(rescues) > 1:
        raise InvalidInputError("rescue", "--push, --keep and --bundle exclude each other", hint="Choose one.")
    records = desk.relay.store.read()
    found = names.find_session(records, reference)
    told: tuple[str, ...] = ()
    if not force and not rescues and sys.stdin.isatty() and not desk.output.as_json:
        told = desk.relay.removal.check(found.id).safe
        goes = f"{names.full_name(records, found)} goes with its container; its clone moves to the trash."
        lines = [text.clean(line) for line in (*told, goes)]
        click.confirm("\n".join([*lines, "Remove it?"]), abort=True, err=True)
    with progress() as watch:
        removed = desk.relay.removal.remove(
            found.id, watch, force=force, rescue=rescues[0] if rescues else None, bundle=bundle
        )
    warn_of_trash(desk.relay)
    if desk.output.as_json:
        document = session_document(desk.relay.store.read().sessions[found.id], records)
        desk.output.document(document | {"safe": list(removed.safe)})
    for line in (*removed.safe, removed.rescued):
        if line and line not in told:
            desk.output.say(text.clean(line))
    desk.output.say(f"Removed {found.name}. Its clone lies in {desk.relay.data_dir.trash}.")
