"""Execute a reconciliation plan.

Completes or reports work left behind by a crashed relay, an unreachable engine or another tool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from relay_tui.domain.errors import NotFoundError, RelayError
from relay_tui.domain.events import EventBus, RecordsChanged
from relay_tui.domain.models import Records, Session
from relay_tui.ports import Files, Runtime, Store
from relay_tui.ports.task import TaskContext
from relay_tui.services import runtime_router
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.projects import ProjectService
from relay_tui.services.reconcile.planner import ASKS, BASE_GONE, Step, StepKind, plan
from relay_tui.services.sessions import observation
from relay_tui.services.sessions.service import SessionService

log = logging.getLogger(__name__)


class Reconciler:
    """Compares records, directories and containers, and aligns the observed with the desired state."""

    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        runtime: Runtime,
        locks: OperationLocks,
        bus: EventBus,
        projects: ProjectService,
        sessions: SessionService,
    ) -> None:
        self._store = store
        self._files = files
        self._runtime = runtime
        self._locks = locks
        self._bus = bus
        self._projects = projects
        self._sessions = sessions
        self.unreachable: frozenset[str] = frozenset()
        """Runtimes of sessions that did not answer when the latest plan was made."""

    def plan(self) -> list[Step]:
        """Return the steps that are due now, in order. An unreachable runtime hides only its own containers.

        Records that another relay changed meanwhile get no steps: the plan would mix the states before and after.
        """
        before = self._store.read()
        found = runtime_router.survey(self._runtime)
        disk = self._files.survey()
        records = self._store.read()
        self.unreachable = found.unreachable & {session.runtime for session in records.live_sessions()}
        ids = {*records.projects, *records.sessions, *disk.bases, *disk.clones, *disk.clones.values()}
        busy = {record_id for record_id in ids if self._locks.holder(record_id)} | _changed(before, records)
        return plan(records, disk, found.containers, busy, found.unreachable)

    def note(self) -> None:
        """Update the rows with the observed states, and do nothing else."""
        for step in self.plan():
            if step.act is StepKind.NOTE:
                self.carry_out(step, TaskContext())

    def carry_out(self, step: Step, task: TaskContext) -> None:
        """Execute one step. Skips steps that a person decides about, and steps whose record changed since."""
        if step.act in ASKS:
            return
        if step.about is not None:
            present = self._store.read().sessions.get(step.subject)
            if present is None or not _is_current(present, step):
                log.info("skipped: %s: the record changed since", step.words)
                return
        log.info("reconcile: %s (%s)", step.words, step.act)
        self._actions()[step.act](step, task)

    def _actions(self) -> dict[StepKind, Callable[[Step, TaskContext], object]]:
        return {
            StepKind.FINISH_CLONE: lambda step, task: self._build(self._projects.clone(step.subject, task).id, task),
            StepKind.FIRST_SESSION: lambda step, task: self._build(self._projects.first_session(step.subject).id, task),
            StepKind.BASE_GONE: lambda step, _: self._projects.write_error(step.subject, BASE_GONE),
            StepKind.FINISH_PROJECT_REMOVAL: lambda step, task: self._projects.remove(step.subject, task),
            StepKind.FINISH_REMOVAL: lambda step, task: self._sessions.remove(step.subject, task, last=True),
            StepKind.BRING_BACK: lambda step, _: self._projects.resume_restore(step.subject),
            StepKind.BUILD: lambda step, task: self._build(step.subject, task),
            StepKind.STOP: lambda step, task: self._sessions.stop(step.subject, task),
            StepKind.NOTE: lambda step, _: self._note(step),
            StepKind.END_LEFT: lambda step, _: self._end_survivors(step.subject, step.container_id),
            StepKind.ADOPT_CONTAINER: lambda step, _: self._sessions.adopt_container(step.subject, step.container_id),
            StepKind.REMOVE_CONTAINER: lambda step, _: self._remove_container(step.subject),
            StepKind.CLEAR_PARTIAL: lambda step, _: self._files.delete(Path(step.subject)),
        }

    def _build(self, session_id: str, task: TaskContext) -> None:
        self._sessions.build(session_id, task)

    def _note(self, step: Step) -> None:
        """Write the observed state on the session's row, with an excerpt of its log."""
        update = step.update
        if update is None:
            return
        if update.reason is not None and step.container_id and not update.reason.detail:
            excerpt = observation.tail_excerpt(self._runtime, step.container_id)
            update = replace(update, reason=replace(update.reason, detail=excerpt))
        with self._store.transaction() as change:
            present = change.records.sessions.get(step.subject)
            if present is None or not _is_current(present, step):
                return  # the record changed since
            change.put(observation.apply(present, update))
        self._bus.publish(RecordsChanged())

    def _end_survivors(self, session_id: str, container_id: str) -> None:
        """End programs that outlived their supervisor, unless the session was started again; update the row."""
        with self._locks.hold(session_id, "ending its programs"):
            if self._runtime.inspect(container_id).left:
                self._runtime.stop(container_id)
            container, present = self._runtime.inspect(container_id), self._store.read().sessions.get(session_id)
        update = observation.status_update(present, container) if present is not None else None
        if update is not None:
            self._note(Step(StepKind.NOTE, session_id, "", update, container_id, present))

    def _remove_container(self, container_id: str) -> None:
        """Remove a container that no record needs, unless it was recorded since the plan was made."""
        try:
            session_id = self._runtime.inspect(container_id).session_id
        except NotFoundError:
            return
        with self._locks.hold(session_id, "removing a container"):
            session = self._store.read().sessions.get(session_id)
            if session is None or session.deleted_at is not None or session.container_id != container_id:
                self._runtime.remove(container_id)

    def carry_out_all(self, task: TaskContext) -> list[tuple[Step, RelayError | None]]:
        """Execute all due steps, then those that follow from them; return each step with its error or None.

        A step that fails writes its error on its row and is not repeated.
        """
        done: list[tuple[Step, RelayError | None]] = []
        for _ in range(5):  # a step can lead to another: a first session is stored, then built
            taken = {(step.act, step.subject) for step, _ in done}
            due = [s for s in self.plan() if s.act not in ASKS and (s.act, s.subject) not in taken]
            if not due:
                break
            for step in due:
                task.report(step.words)
                try:
                    self.carry_out(step, task)
                except RelayError as error:
                    done.append((step, error))
                else:
                    done.append((step, None))
        return done


def _changed(before: Records, after: Records) -> set[str]:
    """Return the ids of records that differ."""
    if before is after:
        return set()
    old, new = ({**records.projects, **records.sessions} for records in (before, after))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def _is_current(present: Session, step: Step) -> bool:
    """Return whether the record is unchanged since the step was planned, apart from a container adopted since."""
    about = step.about
    if about is None or present.container_id not in {about.container_id, step.container_id}:
        return False
    planned = (about.desired, about.state, about.exit_code, about.error_reason, about.deleted_at)
    return planned == (present.desired, present.state, present.exit_code, present.error_reason, present.deleted_at)
