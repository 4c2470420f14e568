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


@click.group(short_help="Branches being worked on, each in its own clone.")
def session() -> None:
    """Branches being worked on, each in its own clone and its own container."""


@session.command()
@click.argument("project")
@click.option("--name", default="", help="What to call it [its branch].")
@click.option("--branch", default="", help="An existing branch to work on [the project's default].")
@click.option("--new-branch", default="", help="A new branch to begin.")
@click.option("--from", "from_branch", default="", help="Where the new branch begins [the project's default].")
@click.option("--image", default="", help="The container's image.")
@click.option("--profile", default="", help="The container's profile.")
@on_runtime
@command
def create(
    desk: CommandContext,
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
    """Clone PROJECT's branch into a new session and start its container."""
    from relay_tui.services.sessions.drafts import NewSession  # imports the services below it

    if branch and new_branch:
        raise InvalidInputError(
            "branch", "--branch and --new-branch exclude each other", hint="Use --from with --new-branch."
        )
    if from_branch and not new_branch:
        raise InvalidInputError("from", "--from goes with --new-branch")
    found = naming.find_project(desk.relay.store.read(), project)
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
    choice = desk.relay.drafts.choose_runtime(wanted)
    if choice.asks is not None:
        wanted = replace(wanted, agreed=f"{wanted.agreed} {ask_for_consent(desk, choice.asks)}")
    print_runtime_choice(desk, choice)
    with progress() as task:
        made = desk.relay.sessions.register(wanted)
        made = desk.relay.sessions.build(made.id, task)
    for note in made.notes:
        click.echo(f"note: {sanitize.clean(note)}", err=True)
    _tell(desk, made.id, f"is running on {made.branch}")


@session.command("list")
@click.option("--project", default="", help="Only this project's.")
@click.option("--all", "everything", is_flag=True, help="Removed ones too.")
@command
def list_(desk: CommandContext, project: str, everything: bool) -> None:
    """List the sessions."""
    from relay_tui.services.sessions.container_spec import runs_on

    unseen = desk.refresh_states()
    records = desk.relay.store.read()
    only = naming.find_project(records, project).id if project else None
    rows = records.live_sessions(only)
    if everything:
        rows = [s for s in records.sessions.values() if only in {None, s.project_id}]
    if desk.output.as_json:
        desk.output.document([session_document(s, records) for s in rows])
    elif not rows:
        desk.output.say("No sessions yet. Add a project, which brings its first: relay project add SOURCE")
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
        desk.output.say(table(("ID", "SESSION", "STATE", "BRANCH", "RUNS ON", ""), cells))


def _word(shown: Session) -> str:
    return "removed" if shown.deleted_at else str(shown.state)


def _trouble(shown: Session) -> str:
    return shown.error_reason.title if shown.error_reason else ""


@session.command()
@click.argument("reference", metavar="SESSION")
@command
def show(desk: CommandContext, reference: str) -> None:
    """Show everything about a session."""
    desk.refresh_states()
    _tell(desk, naming.find_session(desk.relay.store.read(), reference).id)


def _verb(name: str, done: str, words: str, act: Callable[[CommandContext, Session, TaskContext], object]) -> None:
    """A command that does one thing to one session and shows it afterwards."""

    @session.command(name, help=words)
    @click.argument("reference", metavar="SESSION")
    @command
    def verb(desk: CommandContext, reference: str) -> None:
        found = naming.find_session(desk.relay.store.read(), reference)
        with progress() as task:
            act(desk, found, task)
        _tell(desk, found.id, done)


_verb("start", "is running", "Start a session.", lambda desk, s, task: desk.relay.sessions.start(s.id, task))


_verb("stop", "is stopped", "Stop a session's container.", lambda desk, s, task: desk.relay.sessions.stop(s.id, task))


_verb("restart", "is running", "Stop and start it.", lambda desk, s, task: desk.relay.sessions.restart(s.id, task))


@session.command()
@click.argument("reference", metavar="SESSION")
@click.option("--image", default="", help="With this image from now on.")
@command
def retry(desk: CommandContext, reference: str, image: str) -> None:
    """Go on from the step that failed."""
    found = naming.find_session(desk.relay.store.read(), reference)
    with progress() as task:
        desk.relay.sessions.retry(found.id, task, image=image)
    _tell(desk, found.id, "is removed" if found.desired is DesiredState.REMOVED else "is running")


@session.command()
@click.argument("reference", metavar="SESSION")
@command
def restore(desk: CommandContext, reference: str) -> None:
    """Bring a removed session back: its clone from the trash, with a new container."""
    found = naming.find_trashed_session(desk.relay.store.read(), reference)
    with progress() as task:
        back = desk.relay.sessions.restore(found.id)
        desk.relay.sessions.build(back.id, task)
    _tell(desk, found.id, "is back and running")


@session.command()
@click.argument("reference", metavar="SESSION")
@click.option("-f", "--follow", is_flag=True, help="Go on as more comes.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last N lines.")
@click.option("--timestamps", is_flag=True, help="Put the time before each line.")
@click.option("--since", default="", help="Only what came since a time (RFC 3339) or an age like 10m, 2h, 1d.")
@command
def logs(desk: CommandContext, reference: str, follow: bool, tail: int | None, timestamps: bool, since: str) -> None:
    """Print a session's log. Into a pipe it goes byte for byte; on a terminal only its colours are kept."""
    found = naming.find_session(desk.relay.store.read(), reference)
    if follow and desk.output.as_json:
        raise InvalidInputError("follow", "--follow and --json exclude each other")
    _require_container(desk, found)
    stream = desk.relay.runtime.logs(
        found.container_id, follow=follow, tail=tail, since=_moment(since), timestamps=timestamps
    )
    if desk.output.as_json:
        words = b"".join(chunk.data for chunk in stream).decode(errors="replace")
        desk.output.document({"session": found.id, "log": words})
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
        _say_if_broken_off(desk, found)


def _say_if_broken_off(desk: CommandContext, found: Session) -> None:
    """A stream that ends while its container may go on is no end. Raises EngineUnreachableError."""
    broke_off = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        status = desk.relay.runtime.inspect(found.container_id).status
    except NotFoundError:
        return
    except EngineUnreachableError as error:
        words = error.detail
    else:
        if status not in {"running", "restarting"}:
            return
        words = "The engine closed the connection while the session went on."
    hint = f"Go on with: relay session logs {found.name} -f --since {broke_off}"
    raise EngineUnreachableError("The log broke off", words, hint)


def _moment(since: str) -> str:
    """RFC 3339 of a time or of an age. Raises InvalidInputError."""
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
            "since", f"'{since}' is neither a time nor an age", hint="Like 10m, 2h or 2026-01-31T12:00:00Z."
        ) from error
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


@session.command(context_settings={"allow_interspersed_args": False})
@click.argument("reference", metavar="SESSION")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@command
def shell(desk: CommandContext, reference: str, arguments: tuple[str, ...]) -> int:
    """Open a shell in a session, or run CMD in it; its output and exit code pass through."""
    found = naming.find_session(desk.relay.store.read(), reference)
    _require_container(desk, found)
    words = arguments[1:] if arguments[:1] == ("--",) else arguments
    return desk.relay.runtime.run(found.container_id, words)


@session.command()
@click.argument("reference", metavar="SESSION")
@command
def attach(desk: CommandContext, reference: str) -> None:
    """Attach this terminal to a session's main process; ctrl+q leaves it running."""
    found = naming.find_session(desk.relay.store.read(), reference)
    _require_container(desk, found)
    desk.relay.runtime.attach(found.container_id)


def _require_container(desk: CommandContext, found: Session) -> None:
    if not found.container_id:
        about = naming.full_name(desk.relay.store.read(), found)
        why = format_fault(found.error_reason, about)
        raise ConflictError(f"{found.name} has no container", why, f"Start it first: {{start {about}}}.")


def _tell(desk: CommandContext, session_id: str, words: str = "") -> None:
    """The session as JSON; else `words` behind its name, or what it came to instead; without any, all about it."""
    records = desk.relay.store.read()
    found = records.sessions[session_id]
    if desk.output.as_json:
        desk.output.document(session_document(found, records))
        return
    if words:
        desk.output.say(sanitize.clean(f"{naming.full_name(records, found)} {print_result(found, words)}."))
        return
    from relay_tui.services.sessions.container_spec import relaxed_hardening

    profile = desk.relay.drafts.profile(found)
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
    desk.output.say(listing(shown))


@click.command()
@click.argument("reference", metavar="SESSION")
@click.option("--force", is_flag=True, help="Neither ask nor look for unsaved work; it goes to the trash.")
@click.option("--push", "push", is_flag=True, help="Push its branch first.")
@click.option("--keep", is_flag=True, help="Keep its branches and stashes in the project's base clone first.")
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="Save them as a git bundle first.")
@command
def remove(desk: CommandContext, reference: str, force: bool, push: bool, keep: bool, bundle: Path | None) -> None:
    """Remove a session: its container goes, its clone moves to the trash.

    Refused, with exit code 4, while it holds work that is nowhere else.
    """
    from relay_tui.domain.unsaved_work import SaveMethod

    chosen = [(push, SaveMethod.PUSH), (keep, SaveMethod.KEEP), (bundle is not None, SaveMethod.BUNDLE)]
    rescues = [rescue for wanted, rescue in chosen if wanted]
    if len(rescues) > 1:
        raise InvalidInputError("rescue", "--push, --keep and --bundle exclude each other", hint="Choose one.")
    records = desk.relay.store.read()
    found = naming.find_session(records, reference)
    told: tuple[str, ...] = ()
    if not force and not rescues and sys.stdin.isatty() and not desk.output.as_json:
        told = desk.relay.removal.check(found.id).safe
        goes = f"{naming.full_name(records, found)} goes with its container; its clone moves to the trash."
        lines = [sanitize.clean(line) for line in (*told, goes)]
        click.confirm("\n".join([*lines, "Remove it?"]), abort=True, err=True)
    with progress() as task:
        removed = desk.relay.removal.remove(
            found.id, task, force=force, rescue=rescues[0] if rescues else None, bundle=bundle
        )
    warn_of_trash(desk.relay)
    if desk.output.as_json:
        document = session_document(desk.relay.store.read().sessions[found.id], records)
        desk.output.document(document | {"safe": list(removed.safe)})
    for line in (*removed.safe, removed.rescued):
        if line and line not in told:
            desk.output.say(sanitize.clean(line))
    desk.output.say(f"Removed {found.name}. Its clone lies in {desk.relay.data_dir.trash}.")
