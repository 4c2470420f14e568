"""Rows that are kept: always what a fresh row would be, and the same object as long as that has not changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from relay_tui.config import Profile
from relay_tui.domain.errors import Fault
from relay_tui.domain.events import EngineStatus, Job
from relay_tui.domain.models import CloneState, Project, Records, Session, SessionState
from relay_tui.ui.presentation import formatting
from relay_tui.ui.presentation import projects as project_text
from relay_tui.ui.presentation.row_cache import ProjectRowCache, SessionRowCache
from relay_tui.ui.state import AppState

BORN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
NOW = BORN + timedelta(minutes=5)
PROFILES = {"default": Profile(name="default")}


def a_world(count: int = 6) -> AppState:
    """Two projects with so many sessions, by turns."""
    projects = {
        key: Project(id=key, name=name, source="/r", clone_state=CloneState.READY)
        for key, name in (("p2", "beta"), ("p1", "Alpha"))
    }
    sessions = {
        f"s{number}": Session(
            id=f"s{number}",
            project_id=("p1", "p2")[number % 2],
            name=f"work-{number}",
            branch="main",
            base_branch="main",
            image="debian:12",
            profile="default",
            work_dir="/w",
            state=SessionState.RUNNING,
            created_at="2026-11-20T09:00:00.000Z",
        )
        for number in range(count)
    }
    return AppState(Records(MappingProxyType(projects), MappingProxyType(sessions)), {}, EngineStatus("up"))


def with_session(world: AppState, key: str, **changes: object) -> AppState:
    """The world with a session changed."""
    sessions = {**world.records.sessions, key: replace(world.records.sessions[key], **changes)}  # type: ignore[arg-type]
    return replace(world, records=Records(world.records.projects, MappingProxyType(sessions)))


def renamed(world: AppState) -> AppState:
    """The world with another name for the first project."""
    projects = {**world.records.projects}
    projects["p1"] = replace(projects["p1"], name="zulu")
    return replace(world, records=Records(MappingProxyType(projects), world.records.sessions))


JOB = Job("j", "s1", "Stopping work-1")
CHANGES: dict[str, Callable[[AppState], AppState]] = {
    "state": lambda world: with_session(world, "s1", state=SessionState.STOPPED),
    "failure": lambda world: with_session(world, "s1", error_reason=Fault("engine", "It failed")),
    "job": lambda world: replace(world, jobs={"s1": JOB}),
    "engine": lambda world: replace(world, engine=EngineStatus("down")),
    "project": renamed,
    "removal": lambda world: with_session(world, "s1", deleted_at="2026-11-20T10:00:00.000Z"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_are_what_fresh_ones_would_be(change: str) -> None:
    """Whatever changed: of all projects, and of one."""
    world = a_world()
    rows = SessionRowCache(formatting.UNICODE, PROFILES)
    rows.rows(world, None, "", NOW)
    after = CHANGES[change](world)
    project = after.records.projects["p2"]
    for chosen in (None, project):
        fresh = SessionRowCache(formatting.UNICODE, PROFILES).rows(after, chosen, "", NOW)
        assert rows.rows(after, chosen, "", NOW) == fresh
    assert ProjectRowCache(formatting.UNICODE).rows(after, "")[0].cells[2].plain == str(
        len(after.records.live_sessions())
    )


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_grew_older_are_what_fresh_ones_would_be(change: str) -> None:
    """Also rows that show other text above the age."""
    world = CHANGES[change](a_world())
    kept, later = SessionRowCache(formatting.UNICODE, PROFILES), NOW + timedelta(hours=3)
    before = kept.rows(world, None, "", NOW, None, {"s2"})
    after = kept.rows(world, None, "", later, None, {"s2"})
    fresh = SessionRowCache(formatting.UNICODE, PROFILES)
    assert after == fresh.rows(world, None, "", later, None, {"s2"}) != before


def test_only_what_changed_is_built_anew() -> None:
    """If one state of many changes, every other row is the same object, even when its record was read again."""
    world = a_world(40)
    rows = SessionRowCache(formatting.UNICODE, PROFILES)
    before = {row.key: row for row in rows.rows(world, None, "", NOW)}
    again = Records(
        world.records.projects, MappingProxyType({k: replace(s) for k, s in world.records.sessions.items()})
    )
    after = with_session(replace(world, records=again), "s7", state=SessionState.STOPPED)
    changed = [row.key for row in rows.rows(after, None, "", NOW) if row is not before[row.key]]
    assert changed == ["s7"]


def test_age_goes_on() -> None:
    """A row is reused until the text of its age changes, and no longer."""
    world = a_world()
    rows = SessionRowCache(formatting.UNICODE, PROFILES)
    (first, *_) = rows.rows(world, None, "", NOW)
    assert first.cells[-1].plain == "5m"
    assert rows.rows(world, None, "", NOW + timedelta(seconds=59))[0] is first
    assert rows.rows(world, None, "", NOW + timedelta(seconds=60))[0].cells[-1].plain == "6m"


def test_only_the_rows_whose_age_moves_on_are_told_again() -> None:
    """Of thousands, a handful: and they are what a whole drawing would give."""
    world = with_session(a_world(40), "s7", created_at=(NOW - timedelta(seconds=90)).isoformat())
    rows = SessionRowCache(formatting.UNICODE, PROFILES)
    shown = rows.rows(world, None, "", NOW)
    assert rows.aged(shown, NOW + timedelta(seconds=29)) == []
    (moved,) = rows.aged(shown, NOW + timedelta(seconds=30))
    assert (moved.key, moved.cells[-1].plain) == ("s7", "2m")
    assert rows.aged(shown, NOW + timedelta(seconds=31)) == []
    all_later = {row.key: row for row in rows.aged(shown, NOW + timedelta(seconds=90))}
    assert [all_later[row.key] for row in shown] == rows.rows(world, None, "", NOW + timedelta(seconds=90))


def test_rows_that_nobody_sees_grow_older_when_they_are_seen() -> None:
    """The texts of the other rows equal those of a complete drawing at that time."""
    world, rows, later = a_world(40), SessionRowCache(formatting.UNICODE, PROFILES), NOW + timedelta(seconds=70)
    shown = rows.rows(world, None, "", NOW)
    seen = rows.aged(shown[:10], later)
    assert [row.cells[-1].plain for row in seen] == ["6m"] * 10
    assert len(rows.aged(shown, later)) == 30
    assert rows.rows(world, None, "", later)[:10] == seen
    assert {row.cells[-1].plain for row in rows.rows(world, None, "", later)} == {"6m"}


@pytest.mark.parametrize("seconds", [0, 0.5, 59.2, 60, 3599, 3601, 86_399, 86_401, 86_400 * 364.5, 86_400 * 400])
def test_age_lasts_exactly(seconds: float) -> None:
    """Just before the end the same words, at the end others."""
    moment = BORN + timedelta(seconds=seconds)
    since = BORN.isoformat()
    lasts = formatting.age_valid_for(since, moment)
    assert formatting.relative_age(since, moment + timedelta(seconds=lasts - 0.001)) == formatting.relative_age(
        since, moment
    )
    assert formatting.relative_age(since, moment + timedelta(seconds=lasts + 0.001)) != formatting.relative_age(
        since, moment
    )


def test_order_and_filter() -> None:
    """All projects: by project name whatever its case, then by age; the filter looks at every word of a row."""
    world = with_session(a_world(), "s3", branch="fix/Login")
    rows = SessionRowCache(formatting.UNICODE, PROFILES)
    assert [row.key for row in rows.rows(world, None, "", NOW)] == ["s0", "s2", "s4", "s1", "s3", "s5"]
    assert [row.key for row in rows.rows(world, None, "LOGIN", NOW)] == ["s3"]
    assert [row.key for row in rows.rows(world, None, "beta/work-5", NOW)] == ["s5"]
    assert [row.key for row in rows.rows(world, world.records.projects["p1"], "work", NOW)] == ["s0", "s2", "s4"]


def test_projects_filter_keeps_the_row_of_all() -> None:
    """The first row always leads back to everything."""
    rows = ProjectRowCache(formatting.UNICODE)
    assert [row.key for row in rows.rows(a_world(), "ALP")] == [project_text.ALL, "p1"]
    assert rows.rows(AppState(), "") == []
    kept = rows.rows(a_world(), "")
    assert rows.rows(a_world(), "")[1] is kept[1]
    stopped = with_session(a_world(), "s0", state=SessionState.ERROR)
    assert rows.rows(stopped, "")[1].cells[0].plain == formatting.UNICODE.failed
