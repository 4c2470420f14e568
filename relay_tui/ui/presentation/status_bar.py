"""Status bar contents as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relay_tui.domain.models import CloneState, SessionState
from relay_tui.services.runtime_router import DOCKER
from relay_tui.text.format import plural
from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation.formatting import Glyphs, Tone

if TYPE_CHECKING:
    from relay_tui.domain.events import EngineStatus
    from relay_tui.ui.state import AppState


def format_processes(status: EngineStatus, glyphs: Glyphs) -> str:
    """Return a short text about process sessions; '' while it is unknown."""
    if status.state != "up":
        return ""
    return f" {glyphs.dot} processes {'not isolated' if 'not isolated' in status.words else 'in a sandbox'}"


def format_engine(world: AppState, glyphs: Glyphs) -> tuple[str, Tone]:
    """Return the engine's state and its tone. An engine that is down is no error if every session is a process."""
    status, sessions = world.engine, world.records.live_sessions()
    if status.state == "up":
        return f"{glyphs.up} {clean(status.words, limit=60)}", "good"
    if status.state == "down" and sessions and all(session.runtime != DOCKER for session in sessions):
        return "no engine", "dim"
    if status.state == "down":
        return f"{glyphs.down} engine down: {clean(status.words, limit=160)}", "bad"
    return f"{glyphs.busy} looking for the engine", "dim"


def state_counts(world: AppState) -> Sequence[tuple[str, Tone]]:
    """Return the numbers of projects, sessions and jobs, each with its tone."""
    sessions = world.records.live_sessions()
    down = world.engine.state == "down"
    known = [session for session in sessions if not down or session.runtime != DOCKER]
    running = sum(session.state is SessionState.RUNNING for session in known)
    failed = sum(session.state is SessionState.ERROR for session in sessions)
    failed += sum(project.clone_state is CloneState.ERROR for project in world.records.live_projects())
    words: list[tuple[str, Tone]] = [
        (plural(len(world.records.live_projects()), "project"), ""),
        (plural(len(sessions), "session"), ""),
    ]
    if not down or known:
        words.append((f"{running} running", "good" if running else "dim"))
    if failed:
        words.append((f"{failed} failed", "bad"))
    if world.jobs:
        words.append((plural(len(world.jobs), "job"), "busy"))
    return words
