"""`relay session status` and `relay session diff`: state and changes of a session's clone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import listing, table
from relay_tui.domain.changes import ChangeKind, ChangeSet, CloneStatus, DiffBase, FileChange, Patch
from relay_tui.services import naming
from relay_tui.text import sanitize

_WIDEST = 4_000  # characters of a diff's line on a terminal
_STYLES = (("@@", "cyan"), ("+", "green"), ("-", "red"))
_HEADS = ("diff ", "index ", "--- ", "+++ ", "new ", "old ", "deleted ", "rename ", "similarity ", "Binary ")


# --- status ----------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="SESSION")
@command
def status(ctx: CommandContext, reference: str) -> None:
    """Show the state of a session's clone: branch, changes, stashes, unpushed commits. Runs nothing of the session."""
    records = ctx.relay.store.read()
    found = naming.find_session(records, reference)
    facts = ctx.relay.clone_status.read_status(found.id)
    if ctx.output.as_json:
        ctx.output.document({"session": found.id, **asdict(facts), "dirty": facts.dirty})
        return
    ctx.output.say(listing({"session": naming.full_name(records, found), **format_status(facts)}))


def format_status(facts: CloneStatus) -> dict[str, str]:
    """Return a clone's status as labels and values; '' for values that are not shown."""
    last = facts.last
    return {
        "branch": facts.branch or f"detached at {facts.head[:10]}",
        "upstream": _against_upstream(facts),
        "files": _files(facts) or "nothing changed",
        "stashes": str(facts.stashes) if facts.stashes else "",
        "not pushed": _commits(facts.unpushed),
        "last commit": f"{last.hash[:10]} {last.subject}\n{last.author}, {last.authored_at}" if last else "none yet",
        "notes": "\n".join(facts.notes),
    }


def _files(facts: CloneStatus) -> str:
    kinds = ("conflicted", "changed", "added", "deleted", "untracked")
    return ", ".join(f"{count} {kind}" for kind in kinds if (count := getattr(facts, kind)))


def _against_upstream(facts: CloneStatus) -> str:
    if not facts.upstream:
        return "none"
    told = [f"{count} {words}" for count, words in ((facts.ahead, "ahead"), (facts.behind, "behind")) if count]
    return f"{facts.upstream}, {', '.join(told) if told else 'up to date'}"


def _commits(count: int | None) -> str:
    if count is None:
        return "unknown"
    return "nothing" if not count else f"{count} {'commit' if count == 1 else 'commits'}"


# --- diff ------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--stat", is_flag=True, help="Only files and numbers of changed lines.")
@click.option(
    "--against",
    type=click.Choice([str(against) for against in DiffBase]),
    default=str(DiffBase.HEAD),
    show_default=True,
    help="Base of the comparison: last commit, branch point or upstream.",
)
@click.option("--raw", is_flag=True, help="Unmodified output for git apply. Do not print it to a terminal.")
@command
def diff(ctx: CommandContext, reference: str, stat: bool, against: str, raw: bool) -> None:
    """Show what a session changed, untracked files included. Runs nothing of the session."""
    found = naming.find_session(ctx.relay.store.read(), reference)
    changes = ctx.relay.clone_status.changes(found.id, DiffBase(against))
    patch = (
        Patch(path="", text=b"") if stat else ctx.relay.clone_status.patch(found.id, DiffBase(against), limit=1 << 26)
    )
    if ctx.output.as_json:
        document = {"session": found.id, **asdict(changes)}
        if not stat:
            document |= {"patch": patch.text.decode("utf-8", "surrogateescape"), "cut": patch.cut}
        ctx.output.document(document)
        return
    if raw and not stat:
        sys.stdout.buffer.write(patch.text)
        sys.stdout.buffer.flush()
    else:
        for line in format_diffstat(changes) if stat else _patch_lines(patch, _colours()):
            click.echo(line)
    for note in (*changes.notes, *(["The diff is truncated."] if patch.cut else [])):
        click.echo(f"note: {sanitize.clean(note)}", err=True)


def format_diffstat(changes: ChangeSet) -> list[str]:
    """Return the changed files with their kind and line counts, and a total."""
    if not changes.files:
        return ["Nothing changed."]
    rows = [(_lines(file), _became(file), _where(file)) for file in changes.files]
    added = sum(file.added or 0 for file in changes.files)
    deleted = sum(file.deleted or 0 for file in changes.files)
    count = len(changes.files)
    total = f"{count} {'file' if count == 1 else 'files'}, +{added} -{deleted}"
    return [*table(("", "", ""), rows).splitlines()[1:], total]


def _lines(file: FileChange) -> str:
    if file.added is None and file.deleted is None:
        return file.content if file.content != "text" else ""
    return f"+{file.added or 0} -{file.deleted or 0}"


def _became(file: FileChange) -> str:
    return "mode only" if file.change is ChangeKind.MODE else file.change


def _where(file: FileChange) -> str:
    return f"{file.old_path} -> {file.path}" if file.old_path else file.path


def _colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _patch_lines(patch: Patch, colours: bool) -> Iterator[str]:
    """Yield the lines of a diff, safe to show and coloured."""
    for raw in patch.text.removesuffix(b"\n").split(b"\n") if patch.text else ():
        line = sanitize.clean(raw, limit=_WIDEST)
        if not colours:
            yield line
        elif line.startswith(_HEADS):
            yield click.style(line, bold=True)
        else:
            style = next((colour for start, colour in _STYLES if line.startswith(start)), None)
            yield click.style(line, fg=style) if style else line
