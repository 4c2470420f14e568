"""The records relay keeps and the values that travel between its layers. All frozen."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from relay_tui.domain.errors import Fault

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's alphabet: no i, l, o, u


class CloneState(StrEnum):
    """How far a project's base clone is."""

    PENDING = "pending"
    CLONING = "cloning"
    READY = "ready"
    ERROR = "error"


class DesiredState(StrEnum):
    """What the user asked a session to be."""

    RUNNING = "running"
    STOPPED = "stopped"
    REMOVED = "removed"


class SessionState(StrEnum):
    """What a session was last observed to be."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A registered repository with one bare base clone. `source` never holds a secret."""

    id: str
    name: str
    source: str
    default_branch: str = ""
    default_image: str = ""
    default_profile: str = ""
    default_runtime: str = ""
    """What its sessions run on unless said otherwise: 'docker', 'process', 'auto'; '' is as configured."""
    clone_state: CloneState = CloneState.PENDING
    clone_error: Fault | None = None
    desired: DesiredState = DesiredState.RUNNING
    """REMOVED once its removal has begun; a project is never STOPPED."""
    created_at: str = ""
    updated_at: str = ""
    deleted_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One branch in its own clone with its own container. `notes` tell what the clone came without."""

    id: str
    project_id: str
    name: str
    branch: str
    base_branch: str
    image: str
    profile: str
    work_dir: str
    runtime: str = "docker"
    """'docker' or 'process'; it keeps the kind it was made with."""
    isolated: bool = True
    """False for a process that runs without a sandbox."""
    container_id: str = ""
    desired: DesiredState = DesiredState.RUNNING
    state: SessionState = SessionState.STARTING
    error_reason: Fault | None = None
    exit_code: int | None = None
    notes: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    deleted_at: str | None = None


Record = Project | Session


@dataclass(frozen=True)
class Records:
    """Everything in the store at one moment, by id, soft-deleted rows included, oldest first.

    What is alive is worked out once: the screen asks for it at every key.
    """

    projects: Mapping[str, Project] = field(default_factory=lambda: MappingProxyType({}))
    sessions: Mapping[str, Session] = field(default_factory=lambda: MappingProxyType({}))

    def live_projects(self) -> list[Project]:
        """Projects that are not removed, by name."""
        return list(self._live_projects)

    def live_sessions(self, project_id: str | None = None) -> list[Session]:
        """Sessions that are not removed, of one project or of all, oldest first."""
        if project_id is None:
            return list(self._live_sessions)
        return list(self._by_project.get(project_id, ()))

    @cached_property
    def _live_projects(self) -> tuple[Project, ...]:
        return tuple(
            sorted((p for p in self.projects.values() if p.deleted_at is None), key=lambda p: p.name.casefold())
        )

    @cached_property
    def _live_sessions(self) -> tuple[Session, ...]:
        return tuple(s for s in self.sessions.values() if s.deleted_at is None)

    @cached_property
    def _by_project(self) -> Mapping[str, list[Session]]:
        found: dict[str, list[Session]] = {}
        for session in self._live_sessions:
            found.setdefault(session.project_id, []).append(session)
        return found

    @cached_property
    def any_running(self) -> bool:
        """Whether a session that is not removed runs."""
        return any(session.state is SessionState.RUNNING for session in self._live_sessions)

    def removed_last(self) -> Record | None:
        """What was removed most recently and is not purged; of a session, only while its project is there."""
        return self._removed_last

    @cached_property
    def _removed_last(self) -> Record | None:
        gone: list[Record] = [project for project in self.projects.values() if project.deleted_at is not None]
        for session in self.sessions.values():
            owner = self.projects.get(session.project_id)
            if session.deleted_at is not None and owner is not None and owner.deleted_at is None:
                gone.append(session)
        return max(gone, key=lambda record: record.deleted_at or "", default=None)

    def unused_id(self) -> str:
        """A new id that no record has: another relay's clock may have stood at the same moment."""
        while (found := new_id()) in self.projects or found in self.sessions:
            pass
        return found


@dataclass(frozen=True, slots=True)
class Branch:
    """A head of a base clone: full name without `refs/heads/`, commit hash, its time (UTC, ISO 8601), its subject."""

    name: str
    commit: str
    committed_at: str
    subject: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who commits: git's user.name and user.email; either may be empty."""

    name: str = ""
    email: str = ""


_ids = threading.Lock()


_last_id = 0


def new_id() -> str:
    """A 13-character id: 9 characters of milliseconds, 4 of chance. Sorts by time, safe in URLs and file names.

    A clock that stands still or jumps back does not bring back an id that this process gave already.
    """
    global _last_id
    with _ids:
        number = (time.time_ns() // 1_000_000) << 20 | _chance(20)
        if number >> 20 <= _last_id >> 20:
            number = _last_id + 1 + _chance(8)
        _last_id = number
    characters = []
    for _ in range(13):
        number, digit = divmod(number, 32)
        characters.append(_BASE32[digit])
    return "".join(reversed(characters))


def _chance(bits: int) -> int:
    """A number that nobody can foretell; `secrets` would take longer to import than the first paint has."""
    return int.from_bytes(os.urandom(4)) >> 32 - bits


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds: `2026-11-23T08:39:00.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def git_config(identity: Identity, theirs: str) -> str:
    """A .gitconfig that trusts the clone and knows who commits; what the image had there follows and wins."""
    lines = ["[safe]", "\tdirectory = /workspace", "[init]", "\tdefaultBranch = main"]
    if identity.name or identity.email:
        lines.append("[user]")
        lines += [f"\tname = {_quoted(identity.name)}"] if identity.name else []
        lines += [f"\temail = {_quoted(identity.email)}"] if identity.email else []
    return "\n".join([*lines, theirs])


_ESCAPES: Mapping[str, str] = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\b": "\\b", "\0": ""}


def _quoted(value: str) -> str:
    """A value as git reads it back from its configuration, whatever it holds."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
