"""Rows kept from one drawing to the next: of thousands, only those that look different are built."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from relay_tui.config import Profile
from relay_tui.domain.events import Job
from relay_tui.domain.models import Project, Records, Session
from relay_tui.services import naming
from relay_tui.ui.presentation import formatting, projects, sessions
from relay_tui.ui.presentation.clone_status import Known
from relay_tui.ui.presentation.columns import Cell, Row
from relay_tui.ui.presentation.stats import NO_CELLS

if TYPE_CHECKING:
    from relay_tui.ui.presentation.formatting import Glyphs
    from relay_tui.ui.state import AppState

_Made = tuple[Session, Job | None, Project | None, Profile | None, Known, bool, bool, bool, tuple[Cell, ...] | None]


_NEVER = float("inf")


class _Kept(NamedTuple):
    """A row, its source, the time when its age changes (seconds since 1970), and the text that a filter searches."""

    made_from: _Made
    until: float
    row: Row
    words: str


class SessionRowCache:
    """Rows of the sessions of one project or of all. One that has not changed is the very same object again."""

    def __init__(self, glyphs: Glyphs, profiles: Mapping[str, Profile]) -> None:
        self._glyphs = glyphs
        self._profiles = profiles
        self._kept: dict[str, _Kept] = {}
        self._sorted: tuple[Records, list[Session]] | None = None
        self._asked: tuple[object, ...] = (None,) * 4
        self._all: list[_Kept] = []
        self._until = _NEVER

    def rows(
        self,
        world: AppState,
        project: Project | None,
        wanted: str,
        moment: datetime,
        cells: Mapping[str, tuple[Cell, ...]] | None = None,
        marked: Collection[str] = (),
    ) -> list[Row]:
        """The rows of the sessions that contain `wanted`; of all projects, by their names, if `project` is None.

        With `cells`, by session id, there are figures in the rows.
        """
        asked, at = (world, project, cells, marked), moment.timestamp()
        if any(now is not before for now, before in zip(asked, self._asked, strict=True)) or at >= self._until:
            self._asked, self._all = asked, self._look(world, project, moment, cells, marked)
            self._until = min((kept.until for kept in self._all), default=_NEVER)
        wanted = wanted.casefold()
        found = [kept for kept in self._all if wanted in kept.words] if wanted else self._all
        return [kept.row for kept in found]

    def _look(
        self,
        world: AppState,
        project: Project | None,
        moment: datetime,
        cells: Mapping[str, tuple[Cell, ...]] | None,
        marked: Collection[str],
    ) -> list[_Kept]:
        """Every session in its order; only what is not what it was is built."""
        records, jobs, kept = world.records, world.jobs, self._kept
        down, at, with_project = world.engine.state == "down", moment.timestamp(), project is None
        every: list[_Kept] = []
        for session in self._by_project(records) if project is None else records.live_sessions(project.id):
            made_from = (
                session,
                jobs.get(session.id),
                records.projects.get(session.project_id),
                self._profiles.get(session.profile),
                world.facts.get(session.id),
                down,
                with_project,
                session.id in marked,
                None if cells is None else cells.get(session.id, NO_CELLS),
            )
            found = kept.get(session.id)
            if found is None or found.made_from != made_from:
                found = kept[session.id] = self._build(made_from, world, moment)
            elif found.until <= at:
                found = kept[session.id] = _grown(found, moment)
            every.append(found)
        if with_project and len(kept) > len(every):
            self._forget(records)
        return every

    def aged(self, seen: Iterable[Row], moment: datetime) -> list[Row]:
        """Of rows answered before, those whose age has changed, with their present one; `seen`: others can wait."""
        at, changed = moment.timestamp(), list[Row]()
        for row in seen:
            found = self._kept[row.key]
            if found.until <= at:
                found = self._kept[row.key] = _grown(found, moment)
                changed.append(found.row)
        if changed:
            self._until = at
        return changed

    def _build(self, made_from: _Made, world: AppState, moment: datetime) -> _Kept:
        session, _, _, profile, _, _, with_project, marked, cells = made_from
        row = sessions.session_row(
            session, world, self._glyphs, moment, profile, with_project=with_project, figures=cells, marked=marked
        )
        words = f"{naming.full_name(world.records, session)} {session.branch} {session.image}".casefold()
        return _Kept(made_from, moment.timestamp() + formatting.age_valid_for(session.created_at, moment), row, words)

    def _by_project(self, records: Records) -> list[Session]:
        """All sessions, those of one project together."""
        if self._sorted is None or self._sorted[0] is not records:
            names_of = {p.id: p.name.casefold() for p in records.projects.values()}
            order = sorted(records.live_sessions(), key=lambda s: (names_of.get(s.project_id, ""), s.created_at))
            self._sorted = (records, order)
        return self._sorted[1]

    def _forget(self, records: Records) -> None:
        """Drop the rows of what was removed."""
        for key in self._kept.keys() - {session.id for session in records.live_sessions()}:
            del self._kept[key]


def _grown(found: _Kept, moment: datetime) -> _Kept:
    """The same row, older."""
    created_at = found.made_from[0].created_at
    until = moment.timestamp() + formatting.age_valid_for(created_at, moment)
    return found._replace(until=until, row=sessions.aged(found.row, created_at, moment))


class ProjectRowCache:
    """Rows of the projects; one that has not changed is the very same object again."""

    def __init__(self, glyphs: Glyphs) -> None:
        self._glyphs = glyphs
        self._kept: dict[str, tuple[tuple[Project, Job | None, list[Session]], Row]] = {}

    def rows(self, world: AppState, wanted: str) -> list[Row]:
        """The row of all, and the rows of the projects whose name contains `wanted`; [] where there is no project."""
        live, kept = world.records.live_projects(), self._kept
        rows = [projects.all_row(world, self._glyphs)] if live else []
        wanted = wanted.casefold()
        for project in live:
            if wanted in project.name.casefold():
                made_from = (project, world.jobs.get(project.id), world.records.live_sessions(project.id))
                found = kept.get(project.id)
                if found is None or found[0] != made_from:
                    found = kept[project.id] = (made_from, projects.project_row(project, world, self._glyphs))
                rows.append(found[1])
        return rows
