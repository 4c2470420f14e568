"""From records to rows and words: pure functions, no widget, nothing drawn that was not cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from relay_tui.model import CloneState, Project, Session, SessionState
from relay_tui.services.runtimes import DOCKER, PROCESS
from relay_tui.services.spec import limits, loosened
from relay_tui.text import clean
from relay_tui.ui.columns import Cell, Column, Row, Tone, cell
from relay_tui.ui.facts_words import branch_cell, clean_cell, facts_cell

if TYPE_CHECKING:
    from relay_tui.config import Profile
    from relay_tui.events import EngineStatus, Job
    from relay_tui.ui.world import World

ALL = "*"
"""The key of the row that stands for all projects."""


class Glyphs(NamedTuple):
    """The marks of states; each is one cell wide."""

    running: str
    busy: str
    stopped: str
    failed: str
    unknown: str
    ready: str
    everything: str
    up: str
    down: str
    dot: str
    marked: str


UNICODE = Glyphs("●", "◌", "○", "✗", "?", "●", "≡", "●", "✗", "·", "◆")
ASCII = Glyphs("*", "~", "-", "!", "?", "*", "=", "*", "!", "|", "+")


_UNITS = ((3600, 60, "m"), (86_400, 3600, "h"), (86_400 * 365, 86_400, "d"))


def age(since: str, moment: datetime) -> str:
    """How long ago, in at most four characters: '<1m', '5m', '3h', '9d', '2y'."""
    seconds = _seconds(since, moment)
    if seconds is None:
        return "?"
    if seconds < 60:
        return "<1m"
    for limit, unit, name in _UNITS:
        if seconds < limit:
            return f"{int(seconds // unit)}{name}"
    return f"{int(seconds // (86_400 * 365))}y"


def age_lasts(since: str, moment: datetime) -> float:
    """For how many seconds more age() will answer the same."""
    seconds = _seconds(since, moment)
    if seconds is None:
        return float("inf")
    unit = next((unit for limit, unit, _ in _UNITS if seconds < limit), 86_400 * 365)
    return unit - seconds % unit


def _seconds(since: str, moment: datetime) -> float | None:
    try:
        return max(0.0, (moment - _moment(since)).total_seconds())
    except (ValueError, TypeError):
        return None


@lru_cache(maxsize=8192)
def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def when(stamp: str, moment: datetime) -> str:
    """A moment as a person reads it: '2026-11-23 09:21 UTC, 5m ago'."""
    return f"{stamp[:10]} {stamp[11:16]} UTC, {age(stamp, moment)} ago" if stamp else ""


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


# --- sessions --------------------------------------------------------------------------------------------------------


class State(NamedTuple):
    """A state as it is shown: a mark, a word, a tone."""

    glyph: str
    word: str
    tone: Tone


def session_state(session: Session, world: World, glyphs: Glyphs) -> State:
    """What a session is; 'unknown' when no engine could tell, rather than what was once seen."""
    if session.id in world.jobs or session.state in {SessionState.STARTING, SessionState.REMOVING}:
        word = "removing" if session.state is SessionState.REMOVING else "starting"
        if session.id in world.jobs and world.jobs[session.id].title.startswith("Stopping"):
            word = "stopping"
        return State(glyphs.busy, word, "busy")
    if session.state is SessionState.ERROR:
        return State(glyphs.failed, "failed", "bad")
    if session.state is SessionState.RUNNING:
        if world.engine.state == "down" and session.runtime == DOCKER:
            return State(glyphs.unknown, "unknown", "dim")
        return State(glyphs.running, "running", "good")
    return State(
        glyphs.stopped, "stopped" if session.exit_code in {None, 137, 143} else f"exit {session.exit_code}", "dim"
    )


FIGURES = (
    Column("cpu", "CPU", width=4, priority=75, align="right"),
    Column("memory", "MEM", width=5, priority=74, align="right"),
    Column("pids", "PIDS", width=5, priority=30, align="right"),
    Column("received", "RECV/s", width=6, priority=26, align="right"),
    Column("sent", "SENT/s", width=6, priority=25, align="right"),
)
"""What a session takes: CPU as a share of what it may use; what it receives and sends in bytes a second."""


def session_columns(*, with_project: bool, figures: bool = False) -> tuple[Column, ...]:
    """The columns of the sessions pane; the least important are the first to go when it is narrow.

    With `figures` those of what a session takes stand in for what it runs on: an image, or a process.
    """
    image = Column("image", "RUNS ON", min_width=10, max_width=44, priority=20, ellipsis="middle")
    columns = [
        Column("state", "STATE", width=10, priority=100),
        Column("name", "NAME", min_width=8, max_width=40, grow=1, priority=99),
        Column("project", "PROJECT", min_width=6, max_width=28, priority=85),
        Column("branch", "BRANCH", min_width=10, max_width=60, grow=2, priority=80, ellipsis="middle"),
        Column("work", "WORK", min_width=12, max_width=26, priority=70),
        *(FIGURES if figures else (image,)),
        Column("age", "AGE", width=4, priority=40, align="right"),
    ]
    return tuple(column for column in columns if with_project or column.id != "project")


def session_row(
    session: Session,
    world: World,
    glyphs: Glyphs,
    moment: datetime,
    profile: Profile | None,
    *,
    with_project: bool,
    figures: tuple[Cell, ...] | None = None,
    marked: bool = False,
) -> Row:
    """A session as a row; what is under way or went wrong takes the place of branch, image and age.

    `figures`, where they are shown, stand in for the image.
    """
    state = session_state(session, world, glyphs)
    project = world.records.projects.get(session.project_id)
    image = clean_cell(session.image if session.runtime == DOCKER else session.runtime, "dim")
    cells = [clean_cell(f"{state.glyph} {state.word}", state.tone), clean_cell(session.name, "bold")]
    if marked:
        cells[-1] = Cell(((f"{glyphs.marked} ", "accent"), *cells[-1].spans))
    if with_project:
        cells.append(clean_cell(project.name if project else "?", ""))
    wide_from = len(cells)
    known = world.facts.get(session.id)
    branch, *rest = branch_cell(session, known), *(figures or (image,))
    if profile is not None and session.isolated and loosened(profile, session.runtime):
        branch, rest = (_noted(branch, "loosened"), rest) if figures else (branch, [_noted(rest[0], "loosened")])
    elif profile is not None and session.isolated and session.runtime == PROCESS and limits(profile) and not figures:
        rest = [_noted(rest[0], "no limits"), *rest[1:]]
    elif not session.isolated:  # beside what stays on the narrowest terminal
        branch = _noted(branch, "not isolated")
    cells += [
        branch,
        facts_cell(known, plain=glyphs is ASCII),
        *rest,
        clean_cell(age(session.created_at, moment), "dim"),
    ]
    job = world.jobs.get(session.id)
    wide, progress = None, None
    if job is not None:
        wide, progress = cell(job_words(job), "busy"), job.fraction
    elif session.error_reason is not None:
        wide = cell(trouble(session.error_reason.title, session.error_reason.detail), "bad")
    return Row(session.id, tuple(cells), wide=wide, wide_from=wide_from, progress=progress)


def aged(row: Row, since: str, moment: datetime) -> Row:
    """The same row later: its last cell alone is another."""
    cells = (*row.cells[:-1], clean_cell(age(since, moment), "dim"))
    return Row(row.key, cells, row.wide, row.wide_from, row.progress)


def _noted(shown: Cell, words: str) -> Cell:
    return Cell((*shown.spans, (f" {words}", "busy")))


def trouble(title: str, detail: str) -> str:
    """An error in one line: what happened, then the last thing that was said about it."""
    lines = [line for line in clean_lines(detail) if line.strip()]
    return clean(f"{title}: {lines[-1].strip()}") if lines else clean(title)


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each safe."""
    return [clean(line) for line in text.splitlines()]


def job_words(job: Job) -> str:
    """What a job is doing: stage, percent, throughput."""
    percent = f"{job.fraction:.0%}" if job.fraction is not None else ""
    return clean("  ".join(filter(None, (job.stage or job.title, percent, job.detail))))


# --- projects --------------------------------------------------------------------------------------------------------

PROJECT_COLUMNS = (
    Column("state", "", width=1, priority=100),
    Column("name", "", min_width=8, grow=1, priority=99),
    Column("count", "", width=4, priority=50, align="right"),
)


def project_state(project: Project, world: World, glyphs: Glyphs) -> State:
    """What a project's base clone is; the tone tells at a glance whether one of its sessions failed."""
    if project.id in world.jobs:
        return State(glyphs.busy, world.jobs[project.id].title.split()[0].lower(), "busy")
    if project.clone_state is CloneState.READY:
        sessions = world.records.live_sessions(project.id)
        if any(session.state is SessionState.ERROR for session in sessions):
            return State(glyphs.failed, "ready, a session failed", "bad")
        running = any(session.state is SessionState.RUNNING for session in sessions)
        return State(glyphs.ready if running else glyphs.stopped, "ready", "good" if running else "dim")
    if project.clone_state is CloneState.ERROR:
        return State(glyphs.failed, "failed", "bad")
    return State(glyphs.busy, str(project.clone_state), "busy")


def project_row(project: Project, world: World, glyphs: Glyphs) -> Row:
    """A project as a row; clone progress or error stands beside its name."""
    state = project_state(project, world, glyphs)
    count = len(world.records.live_sessions(project.id))
    cells = (cell(state.glyph, state.tone), cell(clean(project.name)), cell(str(count) if count else "", "dim"))
    job = world.jobs.get(project.id)
    if job is not None:
        return Row(project.id, cells, wide=_named(project.name, _briefly(job), "busy"), wide_from=1)
    if project.clone_error is not None:
        return Row(project.id, cells, wide=_named(project.name, project.clone_error.title, "bad"), wide_from=1)
    return Row(project.id, cells)


def _named(name: str, words: str, tone: Tone) -> Cell:
    return Cell(((clean(name), ""), (f"  {clean(words)}", tone)))


def _briefly(job: Job) -> str:
    """Phase, percent and throughput in as few cells as can be: 'receiving 40% 44.9 MiB/s'."""
    percent = f"{job.fraction:.0%}" if job.fraction is not None else ""
    return " ".join(filter(None, (_short(job.stage or job.title), percent, job.detail.rpartition(" at ")[2])))


def _short(stage: str) -> str:
    return stage.split()[0].lower() if stage else ""


def all_row(world: World, glyphs: Glyphs) -> Row:
    """The first row of the projects pane: all of them."""
    count = len(world.records.live_sessions())
    return Row(ALL, (cell(glyphs.everything, "accent"), cell("all projects", "accent"), cell(str(count), "dim")))


# --- the status line -------------------------------------------------------------------------------------------------


def processes_words(status: EngineStatus, glyphs: Glyphs) -> str:
    """What else sessions can run on, in few words; '' while it is not known."""
    if status.state != "up":
        return ""
    return f" {glyphs.dot} processes {'not isolated' if 'not isolated' in status.words else 'in a sandbox'}"


def engine_words(world: World, glyphs: Glyphs) -> tuple[str, Tone]:
    """The engine's state in words, and their tone. Where every session is a process, nobody misses it."""
    status, sessions = world.engine, world.records.live_sessions()
    if status.state == "up":
        return f"{glyphs.up} {clean(status.words, limit=60)}", "good"
    if status.state == "down" and sessions and all(session.runtime != DOCKER for session in sessions):
        return "no engine", "dim"
    if status.state == "down":
        return f"{glyphs.down} engine down: {clean(status.words, limit=160)}", "bad"
    return f"{glyphs.busy} looking for the engine", "dim"


def counts(world: World) -> Sequence[tuple[str, Tone]]:
    """How many there are of what, the failed ones in their colour."""
    sessions = world.records.live_sessions()
    down = world.engine.state == "down"
    known = [session for session in sessions if not down or session.runtime != DOCKER]
    running = sum(session.state is SessionState.RUNNING for session in known)
    failed = sum(session.state is SessionState.ERROR for session in sessions)
    failed += sum(project.clone_state is CloneState.ERROR for project in world.records.live_projects())
    words: list[tuple[str, Tone]] = [
        (_many(len(world.records.live_projects()), "project"), ""),
        (_many(len(sessions), "session"), ""),
    ]
    if not down or known:
        words.append((f"{running} running", "good" if running else "dim"))
    if failed:
        words.append((f"{failed} failed", "bad"))
    if world.jobs:
        words.append((f"{len(world.jobs)} at work", "busy"))
    return words


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
