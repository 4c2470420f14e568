"""`relay project …`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import format_fault, listing, print_result, progress, project_document, table, warn_of_trash
from relay_tui.cli.runtime_options import agreed, ask_for_consent, on_runtime, print_runtime_choice
from relay_tui.domain.errors import ConflictError
from relay_tui.domain.models import Project
from relay_tui.services import naming
from relay_tui.text import sanitize
from relay_tui.text.format import plural


@click.group()
def project() -> None:
    """Manage projects: repositories with a base clone each."""


@project.command("add")
@click.argument("source")
@click.option("--name", default="", help="Name of the project [last part of the source].")
@click.option("--branch", default="", help="Default branch [the upstream's].")
@click.option("--image", default="", help="Image of its sessions.")
@click.option("--profile", default="", help="Profile of its sessions.")
@on_runtime
@command
def add(
    ctx: CommandContext,
    source: str,
    name: str,
    branch: str,
    image: str,
    profile: str,
    runtime: str,
    not_isolated: bool,
) -> None:
    """Clone SOURCE, a URL or a local path, and start a first session on the default branch."""
    from relay_tui.services.projects import NewProject  # with drafts, half of the time that help and completion take
    from relay_tui.services.sessions.drafts import NewSession

    first = NewSession(project="", profile=profile, runtime=runtime, agreed=agreed(not_isolated))
    choice = ctx.relay.drafts.choose_runtime(first)
    if choice.asks is not None:
        first = replace(first, agreed=f"{first.agreed} {ask_for_consent(ctx, choice.asks)}")
    print_runtime_choice(ctx, choice)
    wanted = NewProject(
        source=source, name=name, branch=branch, image=image, profile=profile, runtime=runtime, agreed=first.agreed
    )
    with progress() as task:
        added = ctx.relay.projects.register(wanted)
        made = ctx.relay.projects.clone(added.id, task)
        made = ctx.relay.sessions.build(made.id, task)
    _tell(
        ctx,
        added.id,
        f"Added {added.name}; its first session {made.name} {print_result(made, 'is running')}.",
        made.notes,
    )


@project.command("list")
@command
def list_(ctx: CommandContext) -> None:
    """List the projects."""
    records = ctx.relay.store.read()
    projects = records.live_projects()
    if ctx.output.as_json:
        ctx.output.document([project_document(p, records) for p in projects])
    elif not projects:
        ctx.output.say("No projects yet. Add one: relay project add SOURCE")
    else:
        rows = [(p.id, p.name, p.clone_state, str(len(records.live_sessions(p.id))), p.source) for p in projects]
        ctx.output.say(table(("ID", "NAME", "CLONE", "SESSIONS", "SOURCE"), rows))


@project.command()
@click.argument("reference", metavar="PROJECT")
@command
def show(ctx: CommandContext, reference: str) -> None:
    """Show everything about a project."""
    _tell(ctx, naming.find_project(ctx.relay.store.read(), reference).id)


@project.command()
@click.argument("reference", metavar="PROJECT")
@click.option("--source", default="", help="New source to clone from.")
@command
def retry(ctx: CommandContext, reference: str, source: str) -> None:
    """Retry the failed clone of a project."""
    found = naming.find_project(ctx.relay.store.read(), reference)
    with progress() as task:
        ctx.relay.projects.retry(found.id, source)
        first = ctx.relay.projects.clone(found.id, task)
        first = ctx.relay.sessions.build(first.id, task)
    _tell(
        ctx,
        found.id,
        f"Cloned {found.name}; its first session {first.name} {print_result(first, 'is running')}.",
        first.notes,
    )


@project.command()
@click.argument("reference", metavar="PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@command
def remove(ctx: CommandContext, reference: str, yes: bool) -> None:
    """Remove a project with all its sessions, their containers and their clones."""
    from relay_tui.services.removal import describe

    found = naming.find_project(ctx.relay.store.read(), reference)
    sessions = ctx.relay.projects.sessions_of(found.id)
    goes = format_removal(found, [session.name for session in sessions])
    if not yes:
        guarded = ctx.relay.removal.guard_project(found.id)
        if guarded.risks:
            goes += "\nSaved work that exists only there and will be deleted:"
            goes += "".join(f"\n  {sanitize.clean(line)}" for line in describe(guarded))
        goes += f"\n{guarded.trash}" if guarded.trash else ""
        if ctx.output.as_json or not sys.stdin.isatty():
            raise ConflictError(f"Removing {found.name} requires confirmation", goes, "Add --yes.")
        click.confirm(f"{goes}\nRemove it?", abort=True, err=True)
    with progress() as task:
        ctx.relay.projects.remove(found.id, task)
    warn_of_trash(ctx.relay)
    if ctx.output.as_json:
        ctx.output.document({"removed": found.id, "sessions": [session.id for session in sessions]})
    ctx.output.say(
        f"Removed {found.name} and {plural(len(sessions), 'session')}. The clones are in {ctx.relay.data_dir.trash}."
    )


@project.command()
@click.argument("reference", metavar="PROJECT")
@command
def restore(ctx: CommandContext, reference: str) -> None:
    """Restore a removed project with its sessions."""
    found = naming.find_removed_project(ctx.relay.store.read(), reference)
    with progress() as task:
        back = ctx.relay.projects.restore(found.id)
        for gone in back:
            ctx.relay.sessions.build(gone.id, task)
    _tell(ctx, found.id, f"{found.name} is restored, with {plural(len(back), 'session')}.")


def format_removal(found: Project, sessions: list[str]) -> str:
    """Return the text of what a project's removal deletes."""
    count = {0: "no sessions", 1: "1 session, its container and its clone"}.get(
        len(sessions), f"{len(sessions)} sessions, their containers and their clones"
    )
    named = f" ({', '.join(sessions)})" if sessions else ""
    return f"Project {found.name} goes with {count}{named}."


def _tell(ctx: CommandContext, project_id: str, words: str = "", notes: Sequence[str] | None = None) -> None:
    """Print a project. `notes` are those of its first session."""
    records = ctx.relay.store.read()
    found = records.projects[project_id]
    ctx.note(notes or ())
    if ctx.output.as_json:
        more = {} if notes is None else {"notes": list(notes)}
        ctx.output.document(project_document(found, records) | more)
    elif words:
        ctx.output.say(words)
    else:
        shown = {
            "id": found.id,
            "name": found.name,
            "source": found.source,
            "clone": found.clone_state,
            "error": format_fault(found.clone_error, found.name),
            "default branch": found.default_branch,
            "default image": found.default_image,
            "default profile": found.default_profile,
            "sessions": "\n".join(f"{s.name}  {s.state}  {s.branch}" for s in records.live_sessions(found.id)),
            "base clone": str(ctx.relay.data_dir.base(found.id)),
            "created": found.created_at,
        }
        ctx.output.say(listing(shown))
