"""Session rows as text. Pure functions; all text is sanitized."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from relay_tui.domain.models import Session, SessionState
from relay_tui.services.runtime_router import DOCKER, PROCESS
from relay_tui.services.sessions.container_spec import limits, relaxed_hardening
from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation.clone_status import branch_cell, changes_cell, clean_cell
from relay_tui.ui.presentation.columns import Cell, Column, Row, cell
from relay_tui.ui.presentation.formatting import ASCII, Glyphs, Tone, format_fault, relative_age

if TYPE_CHECKING:
    from relay_tui.config import Profile
    from relay_tui.domain.events import Job
    from relay_tui.ui.state import AppState


class StateCell(NamedTuple):
    """A state as it is shown: a mark, a word, a tone."""

    glyph: str
    word: str
    tone: Tone


def session_state(session: Session, world: AppState, glyphs: Glyphs) -> StateCell:
    """Return the state of a session; 'unknown' if its engine is unreachable, not the last state that was seen."""
    if session.id in world.jobs or session.state in {SessionState.STARTING, SessionState.REMOVING}:
        word = "removing" if session.state is SessionState.REMOVING else "starting"
        if session.id in world.jobs and world.jobs[session.id].title.startswith("Stopping"):
            word = "stopping"
        return StateCell(glyphs.busy, word, "busy")
    if session.state is SessionState.ERROR:
        return StateCell(glyphs.failed, "failed", "bad")
    if session.state is SessionState.RUNNING:
        if world.engine.state == "down" and session.runtime == DOCKER:
            return StateCell(glyphs.unknown, "unknown", "dim")
        return StateCell(glyphs.running, "running", "good")
    return StateCell(
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
    world: AppState,
    glyphs: Glyphs,
    moment: datetime,
    profile: Profile | None,
    *,
    with_project: bool,
    figures: tuple[Cell, ...] | None = None,
    marked: bool = False,
) -> Row:
    """Return the row of a session. A running job or an error replaces branch, image and age.

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
    if profile is not None and session.isolated and relaxed_hardening(profile, session.runtime):
        branch, rest = (_noted(branch, "loosened"), rest) if figures else (branch, [_noted(rest[0], "loosened")])
    elif profile is not None and session.isolated and session.runtime == PROCESS and limits(profile) and not figures:
        rest = [_noted(rest[0], "no limits"), *rest[1:]]
    elif not session.isolated:  # beside what stays on the narrowest terminal
        branch = _noted(branch, "not isolated")
    cells += [
        branch,
        changes_cell(known, plain=glyphs is ASCII),
        *rest,
        clean_cell(relative_age(session.created_at, moment), "dim"),
    ]
    job = world.jobs.get(session.id)
    wide, progress = None, None
    if job is not None:
        wide, progress = cell(format_job(job), "busy"), job.fraction
    elif session.error_reason is not None:
        wide = cell(format_fault(session.error_reason.title, session.error_reason.detail), "bad")
    return Row(session.id, tuple(cells), wide=wide, wide_from=wide_from, progress=progress)


def aged(row: Row, since: str, moment: datetime) -> Row:
    """The same row later: its last cell alone is another."""
    cells = (*row.cells[:-1], clean_cell(relative_age(since, moment), "dim"))
    return Row(row.key, cells, row.wide, row.wide_from, row.progress)


def _noted(shown: Cell, words: str) -> Cell:
    return Cell((*shown.spans, (f" {words}", "busy")))


def format_job(job: Job) -> str:
    """Return the progress of a job: stage, percent, throughput."""
    percent = f"{job.fraction:.0%}" if job.fraction is not None else ""
    return clean("  ".join(filter(None, (job.stage or job.title, percent, job.detail))))


def _briefly(job: Job) -> str:
    """Phase, percent and throughput in as few cells as can be: 'receiving 40% 44.9 MiB/s'."""
    percent = f"{job.fraction:.0%}" if job.fraction is not None else ""
    return " ".join(filter(None, (_short(job.stage or job.title), percent, job.detail.rpartition(" at ")[2])))


def _short(stage: str) -> str:
    return stage.split()[0].lower() if stage else ""
