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
@click.option("--branch", default="", help="Branch to push [the current one].")
@click.option("--dry-run", is_flag=True, help="Only list the commits.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@command
def push(ctx: CommandContext, reference: str, branch: str, dry_run: bool, yes: bool) -> None:
    """Push a session's commits to the upstream with this host's credentials. Lists them first."""
    found = naming.find_session(ctx.relay.store.read(), reference)
    with progress() as task:
        plan = ctx.relay.sync.plan_push(found.id, task, branch=branch)
    shown = format_push_plan(plan)
    if dry_run or nothing_to_push(plan):
        _tell_push(ctx, found, plan, None, shown if dry_run else f"{plan.remote} has all of {plan.branch} already.")
        return
    _refuse_diverged(plan, found, branch)
    if not yes:
        if ctx.output.as_json or not sys.stdin.isatty():
            raise ConflictError(f"Pushing {plan.branch} requires confirmation", shown, "Add --yes, or --dry-run.")
        click.confirm(f"{shown}\nPush it?", abort=True, err=True)
    with progress() as task:
        pushed = ctx.relay.sync.push(found.id, plan, task)
    _tell_push(ctx, found, plan, pushed, "\n".join([*_clean(pushed.said), f"Pushed {plan.branch} to {plan.remote}."]))


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
        lines.append("  The upstream has commits that the session lacks: the push would be rejected.")
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
            f"Merge them first: {switch}relay session update {found.name}, or git pull in its shell.",
        )


def _clean(lines: list[str] | tuple[str, ...]) -> list[str]:
    return [sanitize.clean(sanitize.redact(line)) for line in lines]


def _tell_push(ctx: CommandContext, found: Session, plan: PushPlan, pushed: PushResult | None, words: str) -> None:
    if ctx.output.as_json:
        told = {"said": list(pushed.said), "links": list(pushed.links)} if pushed else {"said": [], "links": []}
        ctx.output.document({"session": found.id, **asdict(plan), "pushed": pushed is not None, **told})
    ctx.output.say(words)


# --- fetch, update ---------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="PROJECT")
@command
def fetch(ctx: CommandContext, reference: str) -> None:
    """Fetch upstream changes into a project's base clone. Sessions are not changed."""
    found = naming.find_project(ctx.relay.store.read(), reference)
    with progress() as task:
        changed = ctx.relay.sync.fetch_project(found.id, task)
    if ctx.output.as_json:
        ctx.output.document({"project": found.id, "changed": list(changed)})
    ctx.output.say("\n".join(_clean(changed)) or f"{found.name} is up to date.")


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--rebase", is_flag=True, help="Rebase the session's branch instead of merging into it.")
@command
def update(ctx: CommandContext, reference: str, rebase: bool) -> None:
    """Merge upstream changes into a session: fetch on the host, merge in the container.

    The session's upstream branch is merged; if it has nothing new, the base branch.
    """
    found = naming.find_session(ctx.relay.store.read(), reference)
    with progress() as task:
        updated = ctx.relay.sync.update(found.id, task, rebase=rebase)
    if ctx.output.as_json:
        ctx.output.document({"session": found.id, **asdict(updated)})
    if not updated.count:
        ctx.output.say(f"{found.name} has all of {updated.branch} already.")
        return
    commits = f"{updated.count} {'commit' if updated.count == 1 else 'commits'}"
    done = "is rebased onto" if rebase else "has"
    ctx.output.say("\n".join(_clean(updated.said)))
    ctx.output.say(
        sanitize.clean(f"{found.name} {done} the upstream's {updated.branch} up to {updated.commit[:10]}: {commits}.")
    )


# --- export, kept ----------------------------------------------------------------------------------------------------


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="New directory, or your clone.")
@click.option("--as", "name", default="", help="Name of the branch in the target [its own name].")
@command
def export(ctx: CommandContext, reference: str, target: Path, name: str) -> None:
    """Export a session's work as an ordinary clone, or as a branch of your own repository.

    Removed sessions can be exported too: `relay project kept` and `relay session list --all` list their ids.
    """
    with progress() as task:
        exported = _export(ctx, reference, target, name, task)
    if ctx.output.as_json:
        ctx.output.document({"session": reference, "to": str(target), **asdict(exported)})
    ctx.output.say(format_export_result(target, exported))


def format_export_result(target: Path, exported: ExportResult) -> str:
    """Return the text for an export: what the target has now, and what it lacks."""
    brought = ", ".join(exported.brought)
    if not exported.left:
        return sanitize.clean(f"{target} has the work, on branch {exported.branch}. Exported: {brought}.")
    lines = [
        f"{target} has the branch {exported.branch}. Exported: {brought}.",
        f"Not exported: {', '.join(exported.left)}. Use --to with a new directory to export everything.",
    ]
    return "\n".join(_clean(lines))


def _export(ctx: CommandContext, reference: str, target: Path, name: str, task: TaskContext) -> ExportResult:
    records = ctx.relay.store.read()
    outward = ctx.relay.sync
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
    """Find saved work of a session without a record, by id or unique name. Raises NotFoundError."""
    by_id = [entry for entry in kept if entry[1].session_id == reference]
    by_name = [entry for entry in kept if entry[1].name and entry[1].name == reference]
    if by_id or len({row.session_id for _, row in by_name}) == 1:
        return (by_id or by_name)[0]
    if kept:
        projects = dict.fromkeys(project.name for project, _ in (by_name or kept))
        places = " or ".join(f"relay project kept {name}" for name in projects)
        missing.hint = f"If it was removed: {places} lists the saved work by session id."
    raise missing


def _session(records: Records, reference: str) -> Session:
    """Find a live session, or else a removed one."""
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
def kept(ctx: CommandContext, reference: str) -> None:
    """List work of sessions that is saved in the base clone and that the upstream lacks."""
    records = ctx.relay.store.read()
    found = naming.find_project(records, reference)
    rows = ctx.relay.sync.saved_refs(found.id)
    if ctx.output.as_json:
        ctx.output.document([{**asdict(row), "name": _name(records, row)} for row in rows])
    elif not rows:
        ctx.output.say(f"Nothing is saved in {found.name} that the upstream does not have.")
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
        ctx.output.say(table(("SESSION", "NAME", "WHAT", "COMMITS", "NEWEST"), cells))
        ctx.output.say("Export it with: relay session export SESSION --to DIR")


def _name(records: Records, row: SavedRef) -> str:
    known = records.sessions.get(row.session_id)
    return sanitize.clean(known.name if known else row.name)


def _short(row: SavedRef) -> str:
    """`topic`, `stash/0`."""
    return row.ref.removeprefix(f"refs/relay/{row.session_id}/").removeprefix("heads/")
