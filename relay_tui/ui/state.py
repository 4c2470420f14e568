"""Application state: one immutable snapshot of everything that the screen shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay_tui.domain.errors import Fault, RelayError
from relay_tui.domain.events import (
    EngineStatus,
    Job,
)
from relay_tui.domain.models import Project, Records, Session

if TYPE_CHECKING:
    from relay_tui.domain.changes import CloneStatus
    from relay_tui.services.reconcile.planner import Step
    from relay_tui.services.relay import Relay


@dataclass(frozen=True, slots=True)
class AppState:
    """Records, jobs, engine and clones at one moment."""

    records: Records = field(default_factory=Records)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    """Running jobs by project or session."""
    engine: EngineStatus = field(default_factory=lambda: EngineStatus("connecting"))
    trouble: Fault | None = None
    """Why the records cannot be read, if so."""
    unsaved: Fault | None = None
    """Why nothing can be written, if so. The records include what was observed since."""
    strays: tuple[Step, ...] = ()
    """Orphaned clones and containers."""
    facts: Mapping[str, CloneStatus | Fault] = field(default_factory=dict)
    """By session, the git status of its clone or why it is unknown."""
    processes: EngineStatus = field(default_factory=lambda: EngineStatus("connecting"))
    """Status of the runtime for process sessions."""
    stirs: Mapping[str, int] = field(default_factory=dict)
    """By session, the number of events of its container."""

    def project(self, project_id: str | None) -> Project | None:
        """Return a live project, None for any other identifier."""
        found = self.records.projects.get(project_id or "")
        return found if found is not None and found.deleted_at is None else None

    def session(self, session_id: str | None) -> Session | None:
        """Return a live session, None for any other identifier."""
        found = self.records.sessions.get(session_id or "")
        return found if found is not None and found.deleted_at is None else None

    def is_shown(self, subject: str, fault: Fault) -> bool:
        """Return whether the row of a project or session shows the fault."""
        project, session = self.project(subject), self.session(subject)
        shown = project.clone_error if project else session.error_reason if session else None
        return shown is not None and shown.title == fault.title


def build_state(relay: Relay) -> AppState:
    """Return the present state."""
    try:
        records, trouble = relay.pending_updates.over(relay.store.read()), None
    except RelayError as error:
        records, trouble = Records(), error.fault
    return AppState(
        records,
        relay.jobs.running(),
        relay.engine.status,
        trouble,
        relay.pending_updates.fault,
        relay.orphans.found,
        _clone_status(relay, records),
        processes=relay.processes.status if relay.processes is not None else EngineStatus("connecting"),
        stirs={**relay.engine.stirs, **(relay.processes.stirs if relay.processes is not None else {})},
    )


def _clone_status(relay: Relay, records: Records) -> Mapping[str, CloneStatus | Fault]:
    found: dict[str, CloneStatus | Fault] = {}
    for session in records.live_sessions():
        known = relay.clone_status.known(session.id)
        value = known and (known.facts or known.fault)
        if value:
            found[session.id] = value
    return found
