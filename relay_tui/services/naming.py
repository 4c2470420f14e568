"""Names: what is allowed, what to suggest, and what a typed reference means."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TypeVar

from relay_tui.domain.errors import ConflictError, InvalidInputError, NotFoundError
from relay_tui.domain.models import Project, Records, Session

R = TypeVar("R", Project, Session)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def check_name(name: str) -> None:
    """Raise InvalidInputError, field 'name', unless `name` fits a row, a path and a container's name."""
    if not name:
        raise InvalidInputError("name", "A name is needed")
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "name",
            "Letters, digits, '.', '_' and '-' only, beginning with a letter or digit, 40 at most",
            hint="For example: fix-login",
        )


def slug(text: str, fallback: str) -> str:
    """The nearest allowed name to `text`, or `fallback` if nothing of it is left."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:40].rstrip("-._") or fallback


def unique_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or `wanted-2`, `wanted-3` … if it is taken. Case is ignored."""
    used = {name.casefold() for name in taken}
    if wanted.casefold() not in used:
        return wanted
    number = 2
    while f"{wanted[:36]}-{number}".casefold() in used:
        number += 1
    return f"{wanted[:36]}-{number}"


def suggest_project(source: str, records: Records) -> str:
    """A free project name after the last part of `source`: 'flask' for https://host/pallets/flask.git."""
    tail = re.split(r"[/:]", source.rstrip("/").removesuffix("/.git").removesuffix(".git"))[-1]
    return unique_name(slug(tail, "project"), [p.name for p in records.live_projects()])


def suggest_session(project_id: str, branch: str, records: Records) -> str:
    """A free session name after its branch."""
    return unique_name(slug(branch, "session"), [s.name for s in records.live_sessions(project_id)])


def find_project(records: Records, reference: str) -> Project:
    """The project that an id, a unique id prefix or a name means. Raises NotFoundError or ConflictError."""
    live = records.live_projects()
    named = [p for p in live if p.name == reference]
    found = named or _by_id(live, reference)
    if not found:
        known = ", ".join(p.name for p in live[:8]) or "none yet; relay project add SOURCE adds one"
        raise NotFoundError(f"There is no project '{reference}'", hint=f"Projects: {known}.")
    return _only(found, reference, [f"{p.name} ({p.id})" for p in found])


def find_session(records: Records, reference: str) -> Session:
    """The session that an id, a unique id prefix, a name or project/session means. Raises as find_project does."""
    live = records.live_sessions()
    project_name, slash, name = reference.rpartition("/")
    if slash:
        project = find_project(records, project_name)
        found = [s for s in live if s.project_id == project.id and (s.name == name or s.id == name)]
    else:
        found = [s for s in live if s.name == reference] or _by_id(live, reference)
    if not found:
        known = ", ".join(full_name(records, s) for s in live[:8]) or "none yet"
        raise NotFoundError(f"There is no session '{reference}'", hint=f"Sessions: {known}.")
    return _only(found, reference, [f"{full_name(records, s)} ({s.id})" for s in found])


def find_trashed_session(records: Records, reference: str) -> Session:
    """The removed session that an id, a unique id prefix, a name or project/session means; the newest of a name."""
    gone = [s for s in records.sessions.values() if s.deleted_at is not None]
    project_name, slash, name = reference.rpartition("/")
    projects = {p.id for p in records.projects.values() if p.name == project_name or p.id == project_name}
    named = [s for s in gone if s.name == name and (not slash or s.project_id in projects)]
    found = sorted(named, key=lambda s: s.deleted_at or "")[-1:] or _by_id(gone, reference)
    if not found:
        raise NotFoundError(f"There is no removed session '{reference}'", hint="relay session list --all shows them.")
    return _only(found, reference, [f"{full_name(records, s)} ({s.id})" for s in found])


def find_removed_project(records: Records, reference: str) -> Project:
    """The removed project that an id, a unique id prefix or a name means; the newest of a name."""
    gone = [p for p in records.projects.values() if p.deleted_at is not None]
    found = sorted((p for p in gone if p.name == reference), key=lambda p: p.deleted_at or "")[-1:]
    found = found or _by_id(gone, reference)
    if not found:
        raise NotFoundError(f"There is no removed project '{reference}'", hint="What is purged cannot come back.")
    return _only(found, reference, [f"{p.name} ({p.id})" for p in found])


def full_name(records: Records, session: Session) -> str:
    """`project/session`."""
    project = records.projects.get(session.project_id)
    return f"{project.name if project else '?'}/{session.name}"


def _by_id(live: Sequence[R], reference: str) -> list[R]:
    exact = [record for record in live if record.id == reference]
    return exact or [record for record in live if len(reference) >= 3 and record.id.startswith(reference)]


def _only(found: Sequence[R], reference: str, words: Sequence[str]) -> R:
    if len(found) > 1:
        raise ConflictError(f"'{reference}' could be any of {len(found)}", "\n".join(words), "Say which by its id.")
    return found[0]
