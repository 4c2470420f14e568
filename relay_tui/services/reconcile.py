"""Carries out a plan: whatever a killed relay, a lost engine or another tool left behind is finished or said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from relay_tui.errors import NotFoundError, RelayError
from relay_tui.events import Bus, RecordsChanged
from relay_tui.model import Records, Session
from relay_tui.services import observe, runtimes
from relay_tui.services.claims import Claims
from relay_tui.services.plan import ASKS, BASE_GONE, Act, Step, plan
from relay_tui.services.ports import Files, Runtime, Store
from relay_tui.services.projects import Projects
from relay_tui.services.sessions import Sessions
from relay_tui.services.watch import Watch

log = logging.getLogger(__name__)


class Reconciler:
    """Compares records, directories and containers, and moves what is observed toward what is desired."""

    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        runtime: Runtime,
        locks: Claims,
        bus: Bus,
        projects: Projects,
        sessions: Sessions,
    ) -> None:
        self._store = store
        self._files = files
        self._runtime = runtime
        self._locks = locks
        self._bus = bus
        self._projects = projects
        self._sessions = sessions
        self.unseen: frozenset[str] = frozenset()
        """The runtimes that did not answer when the last plan was made, and that some session is on."""

    def plan(self) -> list[Step]:
        """The steps that are due now, in order. A runtime that does not answer only hides what is its own.

        What another relay changed while we looked is left to it: we saw half of it before and half afterwards.
        """
        before = self._store.read()
        sight = runtimes.look(self._runtime)
        disk = self._files.survey()
        records = self._store.read()
        self.unseen = sight.unseen & {session.runtime for session in records.live_sessions()}
        ids = {*records.projects, *records.sessions, *disk.bases, *disk.clones, *disk.clones.values()}
        busy = {found for found in ids if self._locks.holder(found)} | _changed(before, records)
        return plan(records, disk, sight.seen, busy, sight.unseen)

    def note(self) -> None:
        """Bring the rows up to date with what can be seen, and do nothing else."""
        for step in self.plan():
            if step.act is Act.NOTE:
                self.carry_out(step, Watch())

    def carry_out(self, step: Step, watch: Watch) -> None:
        """Take one step. Steps that only a person decides on are left alone, and those that came too late."""
        if step.act in ASKS:
            return
        if step.about is not None:
            present = self._store.read().sessions.get(step.subject)
            if present is None or not _as_planned(present, step):
                log.info("left alone: %s: somebody's word is newer", step.words)
                return
        log.info("reconcile: %s (%s)", step.words, step.act)
        self._acts()[step.act](step, watch)

    def _acts(self) -> dict[Act, Callable[[Step, Watch], object]]:
        return {
            Act.FINISH_CLONE: lambda step, watch: self._build(self._projects.clone(step.subject, watch).id, watch),
            Act.FIRST_SESSION: lambda step, watch: self._build(self._projects.first_session(step.subject).id, watch),
            Act.BASE_GONE: lambda step, _: self._projects.say_base_gone(step.subject, BASE_GONE),
            Act.FINISH_PROJECT_REMOVAL: lambda step, watch: self._projects.remove(step.subject, watch),
            Act.FINISH_REMOVAL: lambda step, watch: self._sessions.remove(step.subject, watch, last=True),
            Act.BRING_BACK: lambda step, _: self._projects.bring_back(step.subject),
            Act.BUILD: lambda step, watch: self._build(step.subject, watch),
            Act.STOP: lambda step, watch: self._sessions.stop(step.subject, watch),
            Act.NOTE: lambda step, _: self._note(step),
            Act.END_LEFT: lambda step, _: self._end_left(step.subject, step.container_id),
            Act.ADOPT_CONTAINER: lambda step, _: self._sessions.adopt_container(step.subject, step.container_id),
            Act.REMOVE_CONTAINER: lambda step, _: self._remove_container(step.subject),
            Act.CLEAR_PARTIAL: lambda step, _: self._files.delete(Path(step.subject)),
        }

    def _build(self, session_id: str, watch: Watch) -> None:
        self._sessions.build(session_id, watch)

    def _note(self, step: Step) -> None:
        """Write what was observed on the session's row, with its container's last words."""
        update = step.update
        if update is None:
            return
        if update.reason is not None and step.container_id and not update.reason.detail:
            words = self._sessions.last_words(step.container_id)
            update = replace(update, reason=replace(update.reason, detail=words))
        with self._store.transaction() as change:
            present = change.records.sessions.get(step.subject)
            if present is None or not _as_planned(present, step):
                return  # somebody's word is newer
            change.put(observe.apply(present, update))
        self._bus.publish(RecordsChanged())

    def _end_left(self, session_id: str, container_id: str) -> None:
        """End what outlived its supervisor, unless that session was started again meanwhile; then say so on its row."""
        with self._locks.hold(session_id, "ending what is left of it"):
            if self._runtime.inspect(container_id).left:
                self._runtime.stop(container_id)
            seen, present = self._runtime.inspect(container_id), self._store.read().sessions.get(session_id)
        update = observe.judge(present, seen) if present is not None else None
        if update is not None:
            self._note(Step(Act.NOTE, session_id, "", update, container_id, present))

    def _remove_container(self, container_id: str) -> None:
        """Remove a container that no record needs; one that came on record since the plan was made stays."""
        try:
            session_id = self._runtime.inspect(container_id).session_id
        except NotFoundError:
            return
        with self._locks.hold(session_id, "removing a container"):
            session = self._store.read().sessions.get(session_id)
            if session is None or session.deleted_at is not None or session.container_id != container_id:
                self._runtime.remove(container_id)

    def carry_out_all(self, watch: Watch) -> list[tuple[Step, RelayError | None]]:
        """Take every step that is due, then those that follow from them; answer what was done and what failed.

        A step that fails writes its error on its row, and is not tried again here.
        """
        done: list[tuple[Step, RelayError | None]] = []
        for _ in range(5):  # a plan can make the next one: a first session is put on record, then built
            taken = {(step.act, step.subject) for step, _ in done}
            due = [s for s in self.plan() if s.act not in ASKS and (s.act, s.subject) not in taken]
            if not due:
                break
            for step in due:
                watch.stage(step.words)
                try:
                    self.carry_out(step, watch)
                except RelayError as error:
                    done.append((step, error))
                else:
                    done.append((step, None))
        return done


def _changed(before: Records, after: Records) -> set[str]:
    """Ids of the records that are not what they were."""
    if before is after:
        return set()
    old, new = ({**records.projects, **records.sessions} for records in (before, after))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def _as_planned(present: Session, step: Step) -> bool:
    """Whether the record still is the one that the step's update is about, but for a container adopted since."""
    about = step.about
    if about is None or present.container_id not in {about.container_id, step.container_id}:
        return False
    said = (about.desired, about.state, about.exit_code, about.error_reason, about.deleted_at)
    return said == (present.desired, present.state, present.exit_code, present.error_reason, present.deleted_at)
