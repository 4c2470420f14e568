"""Records of the store, and values that all layers use. All frozen."""

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
    """State of a project's base clone."""

    PENDING = "pending"
    CLONING = "cloning"
    READY = "ready"
    ERROR = "error"


class DesiredState(StrEnum):
    """State that the user wants."""

    RUNNING = "running"
    STOPPED = "stopped"
    REMOVED = "removed"


class SessionState(StrEnum):
    """State that was last observed."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Registered repository with one bare base clone. `source` never contains a secret."""

    id: str
    name: str
    source: str
    default_branch: str = ""
    default_image: str = ""
    default_profile: str = ""
    default_runtime: str = ""
    """Default runtime of its sessions: 'docker', 'process', 'auto', or '' for the configured one."""
    clone_state: CloneState = CloneState.PENDING
    clone_error: Fault | None = None
    desired: DesiredState = DesiredState.RUNNING
    """REMOVED once the removal has started. A project is never STOPPED."""
    created_at: str = ""
    updated_at: str = ""
    deleted_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One branch in its own clone with its own container. `notes` lists parts that the clone lacks."""

    id: str
    project_id: str
    name: str
    branch: str
    base_branch: str
    image: str
    profile: str
    work_dir: str
    runtime: str = "docker"
    """'docker' or 'process'. It never changes."""
    isolated: bool = True
    """False for a process without a sandbox."""
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
    """All records at one moment, by id, oldest first, soft-deleted rows included.

    Live records are computed once, because the screen needs them at every key.
    """

    projects: Mapping[str, Project] = field(default_factory=lambda: MappingProxyType({}))
    sessions: Mapping[str, Session] = field(default_factory=lambda: MappingProxyType({}))

    def live_projects(self) -> list[Project]:
        """Return the projects that are not removed, sorted by name."""
        return list(self._live_projects)

    def live_sessions(self, project_id: str | None = None) -> list[Session]:
        """Return the sessions that are not removed, of one project or of all, oldest first."""
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
        """Whether any session is running."""
        return any(session.state is SessionState.RUNNING for session in self._live_sessions)

    def removed_last(self) -> Record | None:
        """Return the record that was removed last and is not purged. Sessions of removed projects are skipped."""
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
        """Return a new id that no record has. Another relay may have used the same millisecond."""
        while (found := new_id()) in self.projects or found in self.sessions:
            pass
        return found


@dataclass(frozen=True, slots=True)
class Branch:
    """Branch of a base clone: name without `refs/heads/`, commit hash, commit time (UTC, ISO 8601), subject."""

    name: str
    commit: str
    committed_at: str
    subject: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Commit author: git's user.name and user.email. Either may be empty."""

    name: str = ""
    email: str = ""


_ids = threading.Lock()


_last_id = 0


def new_id() -> str:
    """Return a 13-character id: 9 characters of milliseconds, 4 random ones. It sorts by time and is safe in URLs.

    Ids stay unique and increasing within this process, even if the clock stands still or jumps back.
    """
    global _last_id
    with _ids:
        number = (time.time_ns() // 1_000_000) << 20 | _random_bits(20)
        if number >> 20 <= _last_id >> 20:
            number = _last_id + 1 + _random_bits(8)
        _last_id = number
    characters = []
    for _ in range(13):
        number, digit = divmod(number, 32)
        characters.append(_BASE32[digit])
    return "".join(reversed(characters))


def _random_bits(bits: int) -> int:
    """Return an unpredictable number. Importing `secrets` would take too long before the first paint."""
    return int.from_bytes(os.urandom(4)) >> 32 - bits


def now() -> str:
    """Return the current time in UTC, ISO 8601 with milliseconds: `2026-11-23T08:39:00.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def git_config(identity: Identity, existing: str) -> str:
    """Return a .gitconfig that trusts the clone and sets the author. `existing` follows and takes precedence."""
    lines = ["[safe]", "\tdirectory = /workspace", "[init]", "\tdefaultBranch = main"]
    if identity.name or identity.email:
        lines.append("[user]")
        lines += [f"\tname = {_quoted(identity.name)}"] if identity.name else []
        lines += [f"\temail = {_quoted(identity.email)}"] if identity.email else []
    return "\n".join([*lines, existing])


_ESCAPES: Mapping[str, str] = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\b": "\\b", "\0": ""}


def _quoted(value: str) -> str:
    """Return `value` quoted for a git configuration file."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
