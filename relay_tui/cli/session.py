"""`relay session …`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay_tui.cli.context import CommandContext, command
from relay_tui.cli.output import format_fault, listing, print_result, progress, session_document, table, warn_of_trash
from relay_tui.cli.runtime_options import agreed, ask_for_consent, on_runtime, print_runtime_choice
from relay_tui.domain.errors import ConflictError, EngineUnreachableError, InvalidInputError, NotFoundError
from relay_tui.domain.models import DesiredState, Session
from relay_tui.services import naming
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.ports.task import TaskContext


@click.group(short_help="Manage sessions: branches in their own clones.")
def session() -> None:
    """Manage sessions: branches, each in its own clone and container."""


@session.command()
@click.argument("project")
@click.option("--name", default="", help="Name of the session [its branch].")
@click.option("--branch", default="", help="Existing branch to work on [the project's default].")
@click.option("--new-branch", default="", help="New branch to create.")
@click.option("--from", "from_branch", default="", help="Branch that the new one starts from [the project's default].")
@click.option("--image", default="", help="Image of the container.")
@click.option("--profile", default="", help="Profile of the container.")
@on_runtime
@command
def create(
    ctx: CommandContext,
    project: str,
    name: str,
    branch: str,
    new_branch: str,
    from_branch: str,
    image: str,
    profile: str,
    runtime: str,
    not_isolated: bool,
) -> None:
    """Create a session on a branch of PROJECT and start its container."""
    from relay_tui.services.sessions.drafts import NewSession  # imports the services below it

    if branch and new_branch:
        raise InvalidInputError(
            "branch", "--branch and --new-branch exclude each other", hint="Use --from with --new-branch."
        )
    if from_branch and not new_branch:
        raise InvalidInputError("from", "--from goes with --new-branch")
    found = naming.find_project(ctx.relay.store.read(), project)
    wanted = NewSession(
        project=found.id,
        name=name,
        branch=branch or from_branch,
        new_branch=new_branch,
        image=image,
        profile=profile,
        runtime=runtime,
        agreed=agreed(not_isolated),
    )
    choice = ctx.relay.drafts.choose_runtime(wanted)
    if choice.asks is not None:
        wanted = replace(wanted, agreed=f"{wanted.agreed} {ask_for_consent(ctx, choice.asks)}")
    print_runtime_choice(ctx, choice)
    with progress() as task:
        made = ctx.relay.sessions.register(wanted)
        made = ctx.relay.sessions.build(made.id, task)
    for note in made.notes:
        click.echo(f"note: {sanitize.clean(note)}", err=True)
    _tell(ctx, made.id, f"is running on {made.branch}")


@session.command("list")
@click.option("--project", default="", help="Only sessions of this project.")
@click.option("--all", "everything", is_flag=True, help="Include removed sessions.")
@command
def list_(ctx: CommandContext, project: str, everything: bool) -> None:
    """List the sessions."""
    from relay_tui.services.sessions.container_spec import runs_on

    unseen = ctx.refresh_states()
    records = ctx.relay.store.read()
    only = naming.find_project(records, project).id if project else None
    rows = records.live_sessions(only)
    if everything:
        rows = [s for s in records.sessions.values() if only in {None, s.project_id}]
    if ctx.output.as_json:
        ctx.output.document([session_document(s, records) for s in rows])
    elif not rows:
        ctx.output.say("No sessions yet. Add a project to get one: relay project add SOURCE")
    else:
        cells = [
            (
                s.id,
                naming.full_name(records, s),
                "removed" if s.deleted_at else "unknown" if s.runtime in unseen else s.state,
                s.branch,
                runs_on(s),
                _trouble(s),
            )
            for s in rows
        ]
        ctx.output.say(table(("ID", "SESSION", "STATE", "BRANCH", "RUNS ON", ""), cells))


def _word(shown: Session) -> str:
    return "removed" if shown.deleted_at else str(shown.state)


def _trouble(shown: Session) -> str:
    return shown.error_reason.title if shown.error_reason else ""


@session.command()
@click.argument("reference", metavar="SESSION")
@command
def show(ctx: CommandContext, reference: str) -> None:
    """Show everything about a session."""
    ctx.refresh_states()
    _tell(ctx, naming.find_session(ctx.relay.store.read(), reference).id)


def _verb(name: str, done: str, words: str, act: Callable[[CommandContext, Session, TaskContext], object]) -> None:
    """Add a command that changes one session and prints it."""

    @session.command(name, help=words)
    @click.argument("reference", metavar="SESSION")
    @command
    def verb(ctx: CommandContext, reference: str) -> None:
        found = naming.find_session(ctx.relay.store.read(), reference)
        with progress() as task:
            act(ctx, found, task)
        _tell(ctx, found.id, done)


_verb("start", "is running", "Start a session.", lambda ctx, s, task: ctx.relay.sessions.start(s.id, task))


_verb("stop", "is stopped", "Stop a session's container.", lambda ctx, s, task: ctx.relay.sessions.stop(s.id, task))


_verb("restart", "is running", "Restart a session.", lambda ctx, s, task: ctx.relay.sessions.restart(s.id, task))


@session.command()
@click.argument("reference", metavar="SESSION")
@click.option("--image", default="", help="New image of the session.")
@command
def retry(ctx: CommandContext, reference: str, image: str) -> None:
    """Retry the failed step of a session."""
    found = naming.find_session(ctx.relay.store.read(), reference)
    with progress() as task:
        ctx.relay.sessions.retry(found.id, task, image=image)
    _tell(ctx, found.id, "is removed" if found.desired is DesiredState.REMOVED else "is running")


@session.command()
@click.argument("reference", metavar="SESSION")
@command
def restore(ctx: CommandContext, reference: str) -> None:
    """Restore a removed session: its clone from the trash and a new container."""
    found = naming.find_trashed_session(ctx.relay.store.read(), reference)
    with progress() as task:
        back = ctx.relay.sessions.restore(found.id)
        ctx.relay.sessions.build(back.id, task)
    _tell(ctx, found.id, "is restored and running")


@session.command()
@click.argument("reference", metavar="SESSION")
@click.option("-f", "--follow", is_flag=True, help="Follow the log.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last N lines.")
@click.option("--timestamps", is_flag=True, help="Print the time before each line.")
@click.option("--since", default="", help="Only lines since a time (RFC 3339) or an age like 10m, 2h, 1d.")
@command
def logs(ctx: CommandContext, reference: str, follow: bool, tail: int | None, timestamps: bool, since: str) -> None:
    """Print a session's log. A pipe gets it byte for byte; on a terminal only colours are kept."""
    found = naming.find_session(ctx.relay.store.read(), reference)
    if follow and ctx.output.as_json:
        raise InvalidInputError("follow", "--follow and --json exclude each other")
    _require_container(ctx, found)
    stream = ctx.relay.runtime.logs(
        found.container_id, follow=follow, tail=tail, since=_moment(since), timestamps=timestamps
    )
    if ctx.output.as_json:
        words = b"".join(chunk.data for chunk in stream).decode(errors="replace")
        ctx.output.document({"session": found.id, "log": words})
        return
    try:
        for chunk in stream:
            target = sys.stderr.buffer if chunk.stream == "stderr" else sys.stdout.buffer
            data = sanitize.terminal_safe(chunk.data) if target.isatty() else chunk.data
            target.write(data)
            target.flush()
    except KeyboardInterrupt:
        stream.close()
        return
    if follow:
        _say_if_broken_off(ctx, found)


def _say_if_broken_off(ctx: CommandContext, found: Session) -> None:
    """Raise EngineUnreachableError if the stream ended while the container may still run."""
    broke_off = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        status = ctx.relay.runtime.inspect(found.container_id).status
    except NotFoundError:
        return
    except EngineUnreachableError as error:
        words = error.detail
    else:
        if status not in {"running", "restarting"}:
            return
        words = "The engine closed the connection while the session was running."
    hint = f"Continue with: relay session logs {found.name} -f --since {broke_off}"
    raise EngineUnreachableError("The log was interrupted", words, hint)


def _moment(since: str) -> str:
    """Return a time or an age as RFC 3339. Raises InvalidInputError."""
    if not since:
        return ""
    if age := re.fullmatch(r"(\d+)([smhd])", since):
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[age[2]]
        try:
            return (datetime.now(UTC) - timedelta(**{unit: int(age[1])})).isoformat()
        except OverflowError:
            return datetime.fromtimestamp(0, UTC).isoformat()
    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise InvalidInputError(
            "since", f"'{since}' is neither a time nor an age", hint="Use a form like 10m, 2h or 2026-01-31T12:00:00Z."
        ) from error
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


@session.command(context_settings={"allow_interspersed_args": False})
@click.argument("reference", metavar="SESSION")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@command
def shell(ctx: CommandContext, reference: str, arguments: tuple[str, ...]) -> int:
    """Open a shell in a session, or run CMD in it with its output and exit code."""
    found = naming.find_session(ctx.relay.store.read(), reference)
    _require_container(ctx, found)
    words = arguments[1:] if arguments[:1] == ("--",) else arguments
    return ctx.relay.runtime.run(found.container_id, words)


@session.command()
@click.argument("reference", metavar="SESSION")
@command
def attach(ctx: CommandContext, reference: str) -> None:
    """Attach this terminal to a session's main process; ctrl+q leaves it running."""
    found = naming.find_session(ctx.relay.store.read(), reference)
    _require_container(ctx, found)
    ctx.relay.runtime.attach(found.container_id)


def _require_container(ctx: CommandContext, found: Session) -> None:
    if not found.container_id:
        about = naming.full_name(ctx.relay.store.read(), found)
        why = format_fault(found.error_reason, about)
        raise ConflictError(f"{found.name} has no container", why, f"Start it first: {{start {about}}}.")


def _tell(ctx: CommandContext, session_id: str, words: str = "") -> None:
    """Print the session as JSON, or its name with `words` or its result; without `words` print all its fields."""
    records = ctx.relay.store.read()
    found = records.sessions[session_id]
    if ctx.output.as_json:
        ctx.output.document(session_document(found, records))
        return
    if words:
        ctx.output.say(sanitize.clean(f"{naming.full_name(records, found)} {print_result(found, words)}."))
        return
    from relay_tui.services.sessions.container_spec import relaxed_hardening

    profile = ctx.relay.drafts.profile(found)
    shown = {
        "id": found.id,
        "name": naming.full_name(records, found),
        "state": found.state,
        "error": format_fault(found.error_reason, naming.full_name(records, found)),
        "exit code": "" if found.exit_code is None else str(found.exit_code),
        "branch": found.branch,
        "begun at": found.base_branch,
        "runtime": found.runtime if found.isolated else f"{found.runtime}, not isolated",
        "image": found.image,
        "profile": found.profile,
        "loosened": "; ".join(relaxed_hardening(profile, found.runtime)) if profile and found.isolated else "",
        "notes": "\n".join(found.notes),
        "clone": found.work_dir,
        "container": found.container_id,
        "created": found.created_at,
    }
    ctx.output.say(listing(shown))


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--force", is_flag=True, help="Do not ask and do not check for unsaved work.")
@click.option("--push", "push", is_flag=True, help="Push the branch first.")
@click.option("--keep", is_flag=True, help="Save branches and stashes in the base clone first.")
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="Save them as a git bundle first.")
@command
def remove(ctx: CommandContext, reference: str, force: bool, push: bool, keep: bool, bundle: Path | None) -> None:
    """Remove a session: delete its container and move its clone to the trash.

    A session with unsaved work is refused with exit code 4.
    """
    from relay_tui.domain.unsaved_work import SaveMethod

    chosen = [(push, SaveMethod.PUSH), (keep, SaveMethod.KEEP), (bundle is not None, SaveMethod.BUNDLE)]
    rescues = [rescue for wanted, rescue in chosen if wanted]
    if len(rescues) > 1:
        raise InvalidInputError("rescue", "--push, --keep and --bundle exclude each other", hint="Choose one.")
    records = ctx.relay.store.read()
    found = naming.find_session(records, reference)
    told: tuple[str, ...] = ()
    if not force and not rescues and sys.stdin.isatty() and not ctx.output.as_json:
        told = ctx.relay.removal.check(found.id).safe
        goes = f"{naming.full_name(records, found)} and its container will be removed; its clone moves to the trash."
        lines = [sanitize.clean(line) for line in (*told, goes)]
        click.confirm("\n".join([*lines, "Remove it?"]), abort=True, err=True)
    with progress() as task:
        removed = ctx.relay.removal.remove(
            found.id, task, force=force, rescue=rescues[0] if rescues else None, bundle=bundle
        )
    warn_of_trash(ctx.relay)
    if ctx.output.as_json:
        document = session_document(ctx.relay.store.read().sessions[found.id], records)
        ctx.output.document(document | {"safe": list(removed.safe)})
    for line in (*removed.safe, removed.rescued):
        if line and line not in told:
            ctx.output.say(sanitize.clean(line))
    ctx.output.say(f"Removed {found.name}. Its clone is in {ctx.relay.data_dir.trash}.")
