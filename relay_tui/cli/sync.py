"""`relay session push | update | export` and `relay project fetch | kept`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import progress, table
from relay_tui.domain.errors import ConflictError, NotFoundError
from relay_tui.domain.models import CloneState, Project, Records, Session
from relay_tui.services import naming
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.domain.transfers import ExportResult, PushPlan, PushResult, SavedRef
    from relay_tui.ports.task import TaskContext

_LISTED = 20  # commits that are shown before a push


# --- push ------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--branch", default="", help="Which of its branches [the one that it is on].")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
def push(desk: CommandContext, reference: str, branch: str, dry_run: bool, yes: bool) -> None:
    """Push a session's commits to the upstream, with this host's credentials. Shows first what goes."""
    found = naming.find_session(desk.relay.store.read(), reference)
    with progress() as task:
        plan = desk.relay.outward.plan_push(found.id, task, branch=branch)
    shown = format_push_plan(plan)
    if dry_run or nothing_to_push(plan):
        _tell_push(desk, found, plan, None, shown if dry_run else f"{plan.remote} has all of {plan.branch} already.")
        return
    _refuse_diverged(plan, found, branch)
    if not yes:
        if desk.output.as_json or not sys.stdin.isatty():
            raise ConflictError(f"Pushing {plan.branch} needs a yes", shown, "Add --yes, or --dry-run.")
        click.confirm(f"{shown}\nPush it?", abort=True, err=True)
    with progress() as task:
        pushed = desk.relay.outward.push(found.id, plan, task)
    _tell_push(desk, found, plan, pushed, "\n".join([*_clean(pushed.said), f"Pushed {plan.branch} to {plan.remote}."]))


def format_push_plan(plan: PushPlan) -> str:
    """Return the lines that describe a push."""
    commits = f"{plan.count} {'commit' if plan.count == 1 else 'commits'}"
    new = "a new branch, " if plan.new_branch else ""
    lines = [f"To {plan.remote}", f"  {plan.branch}: {new}{commits}"]
    lines += [f"    {commit.hash[:10]} {commit.subject}  ({commit.author})" for commit in plan.commits[:_LISTED]]
    if plan.count > _LISTED:
        lines.append(f"    and {plan.count - _LISTED} more")
    if plan.lfs_files:
        lines.append(f"  and the content of {plan.lfs_files} LFS {'file' if plan.lfs_files == 1 else 'files'}")
    if plan.diverged:
        lines.append("  The upstream has commits that the session lacks: it would be rejected.")
    return "\n".join(_clean(lines))


def nothing_to_push(plan: PushPlan) -> bool:
    """Return whether the upstream has all commits."""
    return not plan.count and not plan.new_branch and not plan.diverged


def _refuse_diverged(plan: PushPlan, found: Session, asked: str) -> None:
    if plan.diverged:
        switch = f"git switch {plan.branch} in its shell, then " if asked else ""
        raise ConflictError(
            f"The upstream's {plan.branch} has commits that the session lacks",
            format_push_plan(plan),
            f"Bring them in first: {switch}relay session update {found.name}, or git pull in its shell.",
        )


def _clean(lines: list[str] | tuple[str, ...]) -> list[str]:
    return [sanitize.clean(sanitize.redact(line)) for line in lines]


def _tell_push(desk: CommandContext, found: Session, plan: PushPlan, pushed: PushResult | None, words: str) -> None:
    if desk.output.as_json:
        told = {"said": list(pushed.said), "links": list(pushed.links)} if pushed else {"said": [], "links": []}
        desk.output.document({"session": found.id, **asdict(plan), "pushed": pushed is not None, **told})
    desk.output.say(words)


# --- fetch, update ---------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="PROJECT")
@command
def fetch(desk: CommandContext, reference: str) -> None:
    """Bring a project's base clone up to date with its upstream. Its sessions stay as they are."""
    found = naming.find_project(desk.relay.store.read(), reference)
    with progress() as task:
        changed = desk.relay.outward.fetch_project(found.id, task)
    if desk.output.as_json:
        desk.output.document({"project": found.id, "changed": list(changed)})
    desk.output.say("\n".join(_clean(changed)) or f"{found.name} is up to date.")


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--rebase", is_flag=True, help="Rebase the session's branch instead of merging into it.")
@command
def update(desk: CommandContext, reference: str, rebase: bool) -> None:
    """Bring what is new upstream into a session: fetched here, merged in its container.

    That is what others pushed to the branch that it is on; if there is nothing, what is new on its base branch.
    """
    found = naming.find_session(desk.relay.store.read(), reference)
    with progress() as task:
        updated = desk.relay.outward.update(found.id, task, rebase=rebase)
    if desk.output.as_json:
        desk.output.document({"session": found.id, **asdict(updated)})
    if not updated.count:
        desk.output.say(f"{found.name} has all of {updated.branch} already.")
        return
    commits = f"{updated.count} {'commit' if updated.count == 1 else 'commits'}"
    done = "is rebased onto" if rebase else "has"
    desk.output.say("\n".join(_clean(updated.said)))
    desk.output.say(
        sanitize.clean(f"{found.name} {done} the upstream's {updated.branch} up to {updated.commit[:10]}: {commits}.")
    )


# --- export, kept ----------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="A new directory, or your clone.")
@click.option("--as", "name", default="", help="What to call the branch there [what it is called].")
@command
def export(desk: CommandContext, reference: str, target: Path, name: str) -> None:
    """Make an ordinary clone of a session's work, or a branch of it in a repository of yours.

    Works for a removed session too: its id is in `relay project kept` and `relay session list --all`.
    """
    with progress() as task:
        exported = _export(desk, reference, target, name, task)
    if desk.output.as_json:
        desk.output.document({"session": reference, "to": str(target), **asdict(exported)})
    desk.output.say(format_export_result(target, exported))


def format_export_result(target: Path, exported: ExportResult) -> str:
    """Return the text for an export: what the target has now, and what it lacks."""
    brought = ", ".join(exported.brought)
    if not exported.left:
        return sanitize.clean(f"{target} has the work, on branch {exported.branch}. Brought: {brought}.")
    lines = [
        f"{target} has the branch {exported.branch}. Brought: {brought}.",
        f"Not brought: {', '.join(exported.left)}. --to a new directory brings all of it.",
    ]
    return "\n".join(_clean(lines))


def _export(desk: CommandContext, reference: str, target: Path, name: str, task: TaskContext) -> ExportResult:
    records = desk.relay.store.read()
    outward = desk.relay.outward
    try:
        found = _session(records, reference)
    except NotFoundError as error:
        kept = [
            (p, k)
            for p in records.live_projects()
            if p.clone_state is CloneState.READY
            for k in outward.saved_refs(p.id)
        ]
        project, chosen = _kept(kept, reference, error)
        return outward.export_kept(project.id, chosen, target, task, name=name)
    return outward.export(found, target, task, name=name)


def _kept(kept: list[tuple[Project, SavedRef]], reference: str, missing: NotFoundError) -> tuple[Project, SavedRef]:
    """Of a session on record no more, by its id, or by its name if only one was called so. Raises NotFoundError."""
    by_id = [entry for entry in kept if entry[1].session_id == reference]
    by_name = [entry for entry in kept if entry[1].name and entry[1].name == reference]
    if by_id or len({row.session_id for _, row in by_name}) == 1:
        return (by_id or by_name)[0]
    if kept:
        projects = dict.fromkeys(project.name for project, _ in (by_name or kept))
        places = " or ".join(f"relay project kept {name}" for name in projects)
        missing.hint = f"If it was removed: {places} lists by id what was kept of such sessions."
    raise missing


def _session(records: Records, reference: str) -> Session:
    """A live session, or else a removed one."""
    try:
        return naming.find_session(records, reference)
    except NotFoundError as error:
        try:
            return naming.find_trashed_session(records, reference)
        except NotFoundError:
            raise error from None


@click.command()
@click.argument("reference", metavar="PROJECT")
@command
def kept(desk: CommandContext, reference: str) -> None:
    """List what a project's base clone holds of its sessions, removed ones too, and the upstream does not have."""
    records = desk.relay.store.read()
    found = naming.find_project(records, reference)
    rows = desk.relay.outward.saved_refs(found.id)
    if desk.output.as_json:
        desk.output.document([{**asdict(row), "name": _name(records, row)} for row in rows])
    elif not rows:
        desk.output.say(f"Nothing is kept in {found.name} that the upstream does not have.")
    else:
        cells = [
            (
                row.session_id,
                _name(records, row),
                _short(row),
                str(row.count),
                f"{row.commit.hash[:10]} {row.commit.subject}",
            )
            for row in rows
        ]
        desk.output.say(table(("SESSION", "NAME", "WHAT", "COMMITS", "NEWEST"), cells))
        desk.output.say("relay session export SESSION --to DIR brings it out.")


def _name(records: Records, row: SavedRef) -> str:
    known = records.sessions.get(row.session_id)
    return sanitize.clean(known.name if known else row.name)


def _short(row: SavedRef) -> str:
    """`topic`, `stash/0`."""
    return row.ref.removeprefix(f"refs/relay/{row.session_id}/").removeprefix("heads/")
