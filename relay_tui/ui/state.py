"""What the screen draws: one immutable snapshot of everything, and the bridge that brings it from the services."""

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
    """Records, jobs and engine at one moment. `trouble` is why the records could not be read, if so."""

    records: Records = field(default_factory=Records)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    engine: EngineStatus = field(default_factory=lambda: EngineStatus("connecting"))
    trouble: Fault | None = None
    unsaved: Fault | None = None
    """Why nothing can be written; the records show what was observed all the same."""
    strays: tuple[Step, ...] = ()
    """Clones and containers that no record knows."""
    facts: Mapping[str, CloneStatus | Fault] = field(default_factory=dict)
    """What is known of sessions' clones, or why nothing is."""
    processes: EngineStatus = field(default_factory=lambda: EngineStatus("connecting"))
    stirs: Mapping[str, int] = field(default_factory=dict)
    """By session id, how often something happened to its container."""

    def project(self, project_id: str | None) -> Project | None:
        """A live project."""
        found = self.records.projects.get(project_id or "")
        return found if found is not None and found.deleted_at is None else None

    def session(self, session_id: str | None) -> Session | None:
        """A live session."""
        found = self.records.sessions.get(session_id or "")
        return found if found is not None and found.deleted_at is None else None


def build_state(relay: Relay) -> AppState:
    """Everything as it is now."""
    try:
        records, trouble = relay.unsaved.over(relay.store.read()), None
    except RelayError as error:
        records, trouble = Records(), error.fault
    return AppState(
        records,
        relay.jobs.running(),
        relay.engine.status,
        trouble,
        relay.unsaved.fault,
        relay.strays.found,
        _facts(relay, records),
        processes=relay.processes.status if relay.processes is not None else EngineStatus("connecting"),
        stirs={**relay.engine.stirs, **(relay.processes.stirs if relay.processes is not None else {})},
    )


def _facts(relay: Relay, records: Records) -> Mapping[str, CloneStatus | Fault]:
    found: dict[str, CloneStatus | Fault] = {}
    for session in records.live_sessions():
        known = relay.facts.known(session.id)
        value = known and (known.facts or known.fault)
        if value:
            found[session.id] = value
    return found


def _on_row(relay: Relay, subject: str, fault: Fault) -> bool:
    """Whether the row of a project or session says already what went wrong."""
    world = build_state(relay)
    project, session = world.project(subject), world.session(subject)
    said = project.clone_error if project else session.error_reason if session else None
    return said is not None and said.title == fault.title
