"""Project rows as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay_tui.domain.models import CloneState, Project, SessionState
from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation.columns import Cell, Column, Row, cell
from relay_tui.ui.presentation.formatting import Glyphs, Tone
from relay_tui.ui.presentation.sessions import StateCell, _briefly

if TYPE_CHECKING:
    from relay_tui.ui.state import AppState


ALL = "*"
"""The key of the row that stands for all projects."""


PROJECT_COLUMNS = (
    Column("state", "", width=1, priority=100),
    Column("name", "", min_width=8, grow=1, priority=99),
    Column("count", "", width=4, priority=50, align="right"),
)


def project_state(project: Project, world: AppState, glyphs: Glyphs) -> StateCell:
    """Return the state of a project's base clone. The tone also shows whether one of its sessions failed."""
    if project.id in world.jobs:
        return StateCell(glyphs.busy, world.jobs[project.id].title.split()[0].lower(), "busy")
    if project.clone_state is CloneState.READY:
        sessions = world.records.live_sessions(project.id)
        if any(session.state is SessionState.ERROR for session in sessions):
            return StateCell(glyphs.failed, "ready, a session failed", "bad")
        running = any(session.state is SessionState.RUNNING for session in sessions)
        return StateCell(glyphs.ready if running else glyphs.stopped, "ready", "good" if running else "dim")
    if project.clone_state is CloneState.ERROR:
        return StateCell(glyphs.failed, "failed", "bad")
    return StateCell(glyphs.busy, str(project.clone_state), "busy")


def project_row(project: Project, world: AppState, glyphs: Glyphs) -> Row:
    """Return the row of a project, with the progress or the error of its clone beside the name."""
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


def all_row(world: AppState, glyphs: Glyphs) -> Row:
    """The first row of the projects pane: all of them."""
    count = len(world.records.live_sessions())
    return Row(ALL, (cell(glyphs.everything, "accent"), cell("all projects", "accent"), cell(str(count), "dim")))
