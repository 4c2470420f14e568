"""The Info tab: everything about the selected thing, errors in full with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from relay_tui.domain.errors import Fault
from relay_tui.domain.models import Identity, Project, Session
from relay_tui.services.runtime_router import DOCKER
from relay_tui.services.sessions.container_spec import (
    HARDENING,
    NOT_ENFORCED,
    container_spec,
    describe,
    relaxed_hardening,
)
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.presentation import formatting
from relay_tui.ui.presentation.clone_status import status_fields
from relay_tui.ui.presentation.formatting import TONES, Glyphs, format_hint, format_time
from relay_tui.ui.presentation.projects import project_state
from relay_tui.ui.presentation.sessions import format_job, session_state

if TYPE_CHECKING:
    from relay_tui.config import Profile
    from relay_tui.domain.events import Job
    from relay_tui.services.reconcile.planner import Step
    from relay_tui.services.relay import Relay
    from relay_tui.ui.state import AppState

Pairs = list[tuple[str, str, str]]
"""Label, value, style of the value ('' for plain)."""

LABEL = 14


def session_info(session: Session, world: AppState, relay: Relay, glyphs: Glyphs) -> Content:
    """A session: its trouble first, then what it is, then its container as it takes effect."""
    state = session_state(session, world, glyphs)
    project = world.records.projects.get(session.project_id)
    profile = relay.drafts.profile(session)
    pairs: Pairs = [("state", f"{state.glyph} {state.word}", f"bold {TONES[state.tone]}")]
    if session.exit_code is not None:
        pairs.append(("exit code", str(session.exit_code), ""))
    about: Pairs = [
        ("branch", session.branch, ""),
        ("begun at", session.base_branch if session.base_branch != session.branch else "", ""),
        ("repository", project.source if project else "", ""),
        ("clone", session.work_dir, ""),
        ("container", session.container_id[:12] if session.runtime == DOCKER else "", ""),
        ("process", session.container_id if session.runtime != DOCKER else "", ""),
        ("created", format_time(session.created_at, formatting.now()), ""),
        ("id", session.id, "$foreground-muted"),
    ]
    parts = [_job(world.jobs.get(session.id)), _fault(session.error_reason), _notes(session.notes), _pairs(pairs)]
    parts += [_work(session, world), _pairs(about)]
    if profile is None:
        parts.append(Content.styled(f"The profile '{clean(session.profile)}' is no longer configured.", "$text-error"))
    elif project is not None:
        parts.append(_container(session, project, profile, relay))
    return _join(parts)


def _work(session: Session, world: AppState) -> Content:
    pairs = status_fields(session, world.facts.get(session.id), formatting.now())
    return _join([Content.styled("Work", "bold $foreground-muted"), _pairs(pairs)], "\n")


def _container(session: Session, project: Project, profile: Profile, relay: Relay) -> Content:
    spec = container_spec(session, project, profile, Identity(), relay.data_dir.root)
    is_relaxed = bool(relaxed_hardening(profile, spec.runtime))
    loud = {NOT_ENFORCED}
    if is_relaxed:
        loud |= {HARDENING, "privileges"} if spec.runtime == DOCKER else {HARDENING}
    if not spec.isolated:
        loud.add("runtime")
    rows: Pairs = [
        (label, value, "$text-warning bold" if label in loud else "")
        for label, value in describe(spec, profile)
        if label != "workspace"
    ]
    return _join(
        [Content.styled("Container" if spec.runtime == DOCKER else "Process", "bold $foreground-muted"), _pairs(rows)],
        "\n",
    )


def project_info(project: Project, world: AppState, relay: Relay, glyphs: Glyphs) -> Content:
    """A project: its trouble first, then what it is and its sessions."""
    state = project_state(project, world, glyphs)
    sessions = world.records.live_sessions(project.id)
    lines = [
        f"{(shown := session_state(s, world, glyphs)).glyph} {shown.word:<9} {clean(s.name)}  {clean(s.branch)}"
        for s in sessions
    ]
    pairs: Pairs = [
        ("clone", f"{state.glyph} {state.word}", f"bold {TONES[state.tone]}"),
        ("source", project.source, ""),
        ("branch", project.default_branch, ""),
        ("image", project.default_image or f"{relay.config.image} (configured default)", ""),
        ("profile", project.default_profile or f"{relay.config.profile} (configured default)", ""),
        ("base clone", str(relay.data_dir.base(project.id)), ""),
        ("sessions", "\n".join(lines), ""),
        ("created", format_time(project.created_at, formatting.now()), ""),
        ("id", project.id, "$foreground-muted"),
    ]
    return _join([_job(world.jobs.get(project.id)), _fault(project.clone_error, source=True), _pairs(pairs)])


def overview(world: AppState, relay: Relay) -> Content:
    """All projects: the engine and where things lie."""
    engine = world.engine
    words = {"up": engine.words, "connecting": "looking for it"}.get(engine.state, "")
    pairs: Pairs = [
        ("engine", words, ""),
        ("processes", world.processes.words, ""),
        ("data", str(relay.data_dir.root), ""),
        ("config", str(relay.config.path), ""),
    ]
    down = None
    if engine.state == "down":
        down = Fault("engine", "The engine does not answer", engine.words, engine.hint)
    store = relay.store.warning()
    warning = Content.styled(clean_block(store), "$text-warning") if store else Content("")
    troubles = [_fault(world.trouble), _fault(world.unsaved), _fault(down), warning, _strays(world.strays)]
    return _join([*troubles, _pairs(pairs)])


def _strays(strays: Sequence[Step]) -> Content:
    if not strays:
        return Content("")
    lines = [Content.styled("Found, and on no record", "bold $text-warning")]
    lines += [Content(f"  {clean(step.words)}") for step in strays[:8]]
    if len(strays) > 8:
        lines.append(Content(f"  and {len(strays) - 8} more"))
    lines.append(Content.styled(f"{key_of('strays')} adopts them, or moves them away.", "$text-warning"))
    return _join(lines, "\n")


def welcome(relay: Relay) -> str:
    """What to do first, where there is nothing yet."""
    return (
        "No projects yet.\n\n"
        f"{key_of('new_project')}  adds a repository: give it a URL or a path.\n"
        "relay clones it and starts a first session on its default branch.\n\n"
        f"{key_of('help')}  shows every key.\n\nEverything is kept in {relay.data_dir.root}."
    )


def _pairs(pairs: Pairs) -> Content:
    lines: list[Content] = []
    for label, value, style in pairs:
        if not value:
            continue
        first, *more = clean_block(value).splitlines() or [""]
        lines.append(Content.assemble((f"{label:<{LABEL}}", "$foreground-muted"), (first, style)))
        lines += [Content.assemble(" " * LABEL, (line, style)) for line in more]
    return _join(lines, "\n")


def _fault(fault: Fault | None, *, source: bool = False) -> Content:
    if fault is None:
        return Content("")
    lines = [Content.styled(clean(fault.title), "bold $text-error")]
    if fault.detail:
        lines += [Content.styled(f"  {line}", "") for line in clean_block(fault.detail).splitlines()]
    if fault.hint:
        lines.append(Content.styled(format_hint(fault.hint), "$text-warning"))
    if source:
        again, edit, forget = key_of("retry"), key_of("edit_source"), key_of("remove")
        words = f"{again} tries again; {edit} edits the source and tries again; {forget} forgets the project."
        lines.append(Content.styled(words, "$foreground-muted"))
    return _join(lines, "\n")


def _job(job: Job | None) -> Content:
    if job is None:
        return Content("")
    hint = f"   {key_of('cancel')} cancels it" if job.cancellable else ""
    return Content.assemble((f"{clean(job.title)}: {format_job(job)}", "$text-warning"), (hint, "$foreground-muted"))


def _notes(notes: tuple[str, ...]) -> Content:
    return _join([Content.styled(f"note: {clean(note)}", "$text-warning") for note in notes], "\n")


def _join(parts: list[Content], between: str = "\n\n") -> Content:
    return Content(between).join([part for part in parts if part.plain])
