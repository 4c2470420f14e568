"""Names of projects and sessions: validation, suggestions, and lookup by a typed reference."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TypeVar

from relay_tui.domain.errors import ConflictError, InvalidInputError, NotFoundError
from relay_tui.domain.models import Project, Records, Session

R = TypeVar("R", Project, Session)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def check_name(name: str) -> None:
    """Raise InvalidInputError, field 'name', unless `name` can be used in rows, paths and container names."""
    if not name:
        raise InvalidInputError("name", "The name is empty")
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "name",
            "Use at most 40 letters, digits, '.', '_' and '-', starting with a letter or digit",
            hint="For example: fix-login",
        )


def slug(text: str, fallback: str) -> str:
    """Return `text` reduced to an allowed name, or `fallback` if nothing is left."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:40].rstrip("-._") or fallback


def unique_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or `wanted-2`, `wanted-3` … if it is taken. Case is ignored."""
    used = {name.casefold() for name in taken}
    if wanted.casefold() not in used:
        return wanted
    number = 2
    while f"{wanted[:36]}-{number}".casefold() in used:
        number += 1
    return f"{wanted[:36]}-{number}"


def suggest_project(source: str, records: Records) -> str:
    """Return an unused project name from the last part of `source`: 'flask' for https://host/pallets/flask.git."""
    tail = re.split(r"[/:]", source.rstrip("/").removesuffix("/.git").removesuffix(".git"))[-1]
    return unique_name(slug(tail, "project"), [p.name for p in records.live_projects()])


def suggest_session(project_id: str, branch: str, records: Records) -> str:
    """Return an unused session name made from its branch."""
    return unique_name(slug(branch, "session"), [s.name for s in records.live_sessions(project_id)])


def find_project(records: Records, reference: str) -> Project:
    """Return the project with an id, a unique id prefix or a name. Raises NotFoundError or ConflictError."""
    live = records.live_projects()
    named = [p for p in live if p.name == reference]
    found = named or _by_id(live, reference)
    if not found:
        known = ", ".join(p.name for p in live[:8]) or "none yet; run relay project add SOURCE"
        raise NotFoundError(f"There is no project '{reference}'", hint=f"Projects: {known}.")
    return _only(found, reference, [f"{p.name} ({p.id})" for p in found])


def find_session(records: Records, reference: str) -> Session:
    """Return the session with an id, a unique id prefix, a name or project/session. Raises like find_project()."""
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
    """Return the removed session with an id, a unique id prefix, a name or project/session; the newest of a name."""
    gone = [s for s in records.sessions.values() if s.deleted_at is not None]
    project_name, slash, name = reference.rpartition("/")
    projects = {p.id for p in records.projects.values() if p.name == project_name or p.id == project_name}
    named = [s for s in gone if s.name == name and (not slash or s.project_id in projects)]
    found = sorted(named, key=lambda s: s.deleted_at or "")[-1:] or _by_id(gone, reference)
    if not found:
        raise NotFoundError(
            f"There is no removed session '{reference}'", hint="Run relay session list --all to list them."
        )
    return _only(found, reference, [f"{full_name(records, s)} ({s.id})" for s in found])


def find_removed_project(records: Records, reference: str) -> Project:
    """Return the removed project with an id, a unique id prefix or a name; the newest of a name."""
    gone = [p for p in records.projects.values() if p.deleted_at is not None]
    found = sorted((p for p in gone if p.name == reference), key=lambda p: p.deleted_at or "")[-1:]
    found = found or _by_id(gone, reference)
    if not found:
        raise NotFoundError(f"There is no removed project '{reference}'", hint="A purged project cannot be restored.")
    return _only(found, reference, [f"{p.name} ({p.id})" for p in found])


def full_name(records: Records, session: Session) -> str:
    """Return `project/session`."""
    project = records.projects.get(session.project_id)
    return f"{project.name if project else '?'}/{session.name}"


def _by_id(live: Sequence[R], reference: str) -> list[R]:
    exact = [record for record in live if record.id == reference]
    return exact or [record for record in live if len(reference) >= 3 and record.id.startswith(reference)]


def _only(found: Sequence[R], reference: str, candidates: Sequence[str]) -> R:
    if len(found) > 1:
        raise ConflictError(f"'{reference}' could be any of {len(found)}", "\n".join(candidates), "Use its id instead.")
    return found[0]
