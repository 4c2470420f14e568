"""The records relay keeps and the values that travel between its layers. All frozen."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from relay_tui.errors import Fault

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's alphabet: no i, l, o, u


class CloneState(StrEnum):
    """How far a project's base clone is."""

    PENDING = "pending"
    CLONING = "cloning"
    READY = "ready"
    ERROR = "error"


class Desired(StrEnum):
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
    clone_state: CloneState = CloneState.PENDING
    clone_error: Fault | None = None
    desired: Desired = Desired.RUNNING
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
    container_id: str = ""
    desired: Desired = Desired.RUNNING
    state: SessionState = SessionState.STARTING
    error_reason: Fault | None = None
    exit_code: int | None = None
    notes: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    deleted_at: str | None = None


Record = Project | Session


@dataclass(frozen=True, slots=True)
class Records:
    """Everything in the store at one moment, by id, soft-deleted rows included, oldest first."""

    projects: Mapping[str, Project] = field(default_factory=lambda: MappingProxyType({}))
    sessions: Mapping[str, Session] = field(default_factory=lambda: MappingProxyType({}))

    def live_projects(self) -> list[Project]:
        """Projects that are not removed, by name."""
        return sorted((p for p in self.projects.values() if p.deleted_at is None), key=lambda p: p.name.casefold())

    def live_sessions(self, project_id: str | None = None) -> list[Session]:
        """Sessions that are not removed, of one project or of all, oldest first."""
        return [
            s
            for s in self.sessions.values()
            if s.deleted_at is None and (project_id is None or s.project_id == project_id)
        ]

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
        number = (time.time_ns() // 1_000_000) << 20 | secrets.randbits(20)
        if number >> 20 <= _last_id >> 20:
            number = _last_id + 1 + secrets.randbits(8)
        _last_id = number
    characters = []
    for _ in range(13):
        number, digit = divmod(number, 32)
        characters.append(_BASE32[digit])
    return "".join(reversed(characters))


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds: `2026-11-23T08:39:00.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
