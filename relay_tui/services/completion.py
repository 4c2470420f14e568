"""Values that shell completion offers: names of projects, sessions, profiles, branches and images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from relay_tui.domain.errors import ConfigError
from relay_tui.domain.models import Project, Records, Session
from relay_tui.services.naming import find_project, find_session
from relay_tui.terminal_info import utf8_locale
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.config import Config

_LONGEST = 200
"""Characters of a value; longer ones are left out."""
_DESCRIBED = 60
"""Characters of a description."""


class Candidate(NamedTuple):
    """One value that a shell can insert, and a description for shells that show one."""

    value: str
    description: str = ""


class CompletionService:
    """Answers what a word on the command line can become. Reads files; changes nothing.

    Every method takes the `typed` beginning of a word and returns candidates that begin with it, sorted by value. A
    name that a terminal would obey, or that looks like an option, is left out. Errors of the readers are passed on.
    """

    def __init__(
        self,
        records: Callable[[], Records],
        config: Callable[[], Config],
        branches: Callable[[str], Sequence[str]],
    ) -> None:
        """Take the readers of the store, of the configuration, and of the branches of a project id."""
        self._records = records
        self._config = config
        self._branches = branches

    def projects(self, typed: str) -> list[Candidate]:
        """Return the projects that are not removed."""
        return _projects(self._records().live_projects(), typed)

    def removed_projects(self, typed: str) -> list[Candidate]:
        """Return the removed projects."""
        gone = [project for project in self._records().projects.values() if project.deleted_at is not None]
        return _projects(gone, typed)

    def sessions(self, typed: str) -> list[Candidate]:
        """Return the sessions that are not removed."""
        records = self._records()
        return _sessions(records, records.live_sessions(), typed)

    def removed_sessions(self, typed: str) -> list[Candidate]:
        """Return the removed sessions of projects that are not removed: no others can be restored by themselves."""
        records = self._records()
        live = {project.id for project in records.live_projects()}
        gone = [s for s in records.sessions.values() if s.deleted_at is not None and s.project_id in live]
        return _sessions(records, gone, typed)

    def all_sessions(self, typed: str) -> list[Candidate]:
        """Return the sessions, removed ones too."""
        records = self._records()
        return _sessions(records, list(records.sessions.values()), typed)

    def profiles(self, typed: str) -> list[Candidate]:
        """Return the configured profiles."""
        profiles = self._config().profiles.values()
        return _fitting((Candidate(profile.name, profile.image) for profile in profiles), typed)

    def images(self, typed: str) -> list[Candidate]:
        """Return the images that the configuration, the projects and the sessions name."""
        records = self._records()
        known = {project.default_image for project in records.live_projects()}
        known |= {session.image for session in records.live_sessions()}
        with suppress(ConfigError):
            config = self._config()
            known |= {config.image, *(profile.image for profile in config.profiles.values())}
        return _fitting(map(Candidate, known), typed)

    def branches(self, project: str, typed: str) -> list[Candidate]:
        """Return the branches in the base clone of a project. Raises NotFoundError or ConflictError."""
        found = find_project(self._records(), project)
        return _fitting(map(Candidate, self._branches(found.id)), typed)

    def session_branches(self, session: str, typed: str) -> list[Candidate]:
        """Return the branch that a session was made for. Raises NotFoundError or ConflictError.

        Its other branches are in a clone that the session can write, and are not read for a completion.
        """
        found = find_session(self._records(), session)
        return _fitting([Candidate(found.branch)], typed)


def _projects(projects: Sequence[Project], typed: str) -> list[Candidate]:
    """Return projects by name, or by id where no name begins so."""
    named = _fitting((Candidate(project.name, sanitize.redact(project.source)) for project in projects), typed)
    return named or _by_id(projects, typed)


def _sessions(records: Records, sessions: Sequence[Session], typed: str) -> list[Candidate]:
    """Return sessions as project/session, or by id where no name begins so.

    A bare name is offered once its first letter is typed, if one session alone has it: beside project/session it
    would list every session twice.
    """
    count = Counter(session.name for session in sessions)
    projects = {project.id: project.name for project in records.projects.values()}
    named = [Candidate(f"{projects[s.project_id]}/{s.name}", s.branch) for s in sessions if s.project_id in projects]
    if typed and "/" not in typed:
        named += [Candidate(s.name, s.branch) for s in sessions if count[s.name] == 1]
    return _fitting(named, typed) or _by_id(sessions, typed)


def _by_id(records: Sequence[Project | Session], typed: str) -> list[Candidate]:
    """Return records by id; none before a first letter is typed."""
    return _fitting((Candidate(record.id, record.name) for record in records), typed) if typed else []


def _fitting(candidates: Iterable[Candidate], typed: str) -> list[Candidate]:
    """Return the candidates that begin with `typed` and are safe to insert, sorted, each value once."""
    only_ascii = not utf8_locale()
    found = {
        candidate.value: candidate._replace(description=sanitize.clean(candidate.description, limit=_DESCRIBED))
        for candidate in candidates
        if candidate.value.startswith(typed) and _is_safe(candidate.value, only_ascii)
    }
    return [found[value] for value in sorted(found)]


def _is_safe(value: str, only_ascii: bool) -> bool:
    """Return whether a terminal shows the value as it is, and a command takes it for a value."""
    if not value or value.startswith("-") or len(value) > _LONGEST or (only_ascii and not value.isascii()):
        return False
    return sanitize.clean(value) == value
