"""Facade of relay: all services, and their long operations as background jobs."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.domain.errors import ConflictError, EngineUnreachableError, RelayError
from relay_tui.domain.events import EventBus, PushPlanned, RecordsChanged, SessionRemoved, WorkSaved
from relay_tui.domain.models import Project, Session
from relay_tui.memory import release_free_memory
from relay_tui.ports.task import TaskContext

if TYPE_CHECKING:
    from relay_tui.config import Config
    from relay_tui.domain.transfers import PushPlan
    from relay_tui.domain.unsaved_work import SaveMethod
    from relay_tui.paths import DataDir
    from relay_tui.ports import Files, Git, Runtime, Store, StoreWatcher
    from relay_tui.services.clone_status import CloneStatusService
    from relay_tui.services.doctor import Doctor
    from relay_tui.services.jobs import JobRunner
    from relay_tui.services.projects import NewProject, ProjectService
    from relay_tui.services.reconcile.orphans import OrphanResult, OrphanService
    from relay_tui.services.reconcile.pending_updates import PendingUpdates
    from relay_tui.services.reconcile.planner import Step
    from relay_tui.services.reconcile.reconciler import Reconciler
    from relay_tui.services.reconcile.runtime_monitor import RuntimeMonitor
    from relay_tui.services.removal import RemovalService
    from relay_tui.services.sessions.drafts import NewSession, SessionDrafts
    from relay_tui.services.sessions.service import SessionService
    from relay_tui.services.sync import SyncService
    from relay_tui.services.trash import Trash

log = logging.getLogger(__name__)

STORE_CHECK_INTERVAL = 10.0  # seconds between checks of the store, in case a notification was missed
MEMORY_RELEASE_DELAY = 1.0  # seconds after a write until unused memory is returned to the system


@dataclass(frozen=True, kw_only=True)
class Relay:
    """All services, and methods that start jobs. They return at once; events on the bus report the progress."""

    config: Config
    data_dir: DataDir
    bus: EventBus
    store: Store
    git: Git
    runtime: Runtime
    files: Files
    projects: ProjectService
    drafts: SessionDrafts
    sessions: SessionService
    clone_status: CloneStatusService
    sync: SyncService
    removal: RemovalService
    jobs: JobRunner
    engine: RuntimeMonitor
    processes: RuntimeMonitor | None = None
    reconciler: Reconciler
    doctor: Doctor
    trash: Trash
    orphans: OrphanService
    pending_updates: PendingUpdates
    _reconciling: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)
    _watches: list[StoreWatcher] = field(default_factory=list)

    def start(self) -> None:
        """Start monitoring the runtimes and the store, and complete the work of a killed relay."""
        self.engine.on_connect = self.reconcile
        self.engine.on_drift = self.reconcile
        if self.processes is not None:
            self.processes.on_drift = self.reconcile
        watch = self.store.watch()
        self._watches.append(watch)
        threading.Thread(target=self._watch_store, args=(watch,), name="store watch", daemon=True).start()
        self.engine.start()
        if self.processes is not None:
            self.processes.on_drift = self.reconcile
            self.processes.start()

    def close(self) -> None:
        """Interrupt running jobs and stop monitoring."""
        self._closed.set()
        for watch in self._watches:
            watch.wake()
        self.pending_updates.close()
        self.engine.close()
        if self.processes is not None:
            self.processes.close()
        self.clone_status.close()
        self.jobs.quit(patience=3.0)

    def add_project(self, wanted: NewProject) -> Project:
        """Store a project and start its clone."""
        project = self.projects.register(wanted)
        self.clone(project)
        return project

    def clone(self, project: Project) -> None:
        """Start a project's clone; its first session is built afterwards."""

        def work(task: TaskContext) -> None:
            first = self.projects.clone(project.id, task)
            self.build(first)

        self.jobs.start(project.id, f"Cloning {project.name}", work, cancellable=True)

    def retry_project(self, project: Project, source: str = "") -> None:
        """Clone again, from another source if one is given."""
        if project.id in self.jobs.running():
            raise ConflictError(
                f"{project.name} is being cloned already", hint="Wait for it to end, or cancel it ({cancel})."
            )
        self.clone(self.projects.retry(project.id, source))

    def create_session(self, wanted: NewSession) -> Session:
        """Store a session and start building it."""
        session = self.sessions.register(wanted)
        self.build(session)
        return session

    def build(self, session: Session) -> None:
        """Start building the session: create its missing parts and start it."""
        self.jobs.start(
            session.id, f"Creating {session.name}", lambda w: self.sessions.build(session.id, w), cancellable=True
        )

    def start_session(self, session: Session) -> None:
        """Start the session in a job."""
        self.jobs.start(
            session.id, f"Starting {session.name}", lambda w: self.sessions.start(session.id, w), cancellable=True
        )

    def stop_session(self, session: Session) -> None:
        """Stop the session in a job."""
        self.jobs.start(session.id, f"Stopping {session.name}", lambda w: self.sessions.stop(session.id, w))

    def restart_session(self, session: Session) -> None:
        """Restart the session in a job."""
        self.jobs.start(session.id, f"Restarting {session.name}", lambda w: self.sessions.restart(session.id, w))

    def retry_session(self, session: Session) -> None:
        """Retry the session's failed step in a job."""
        self.jobs.start(
            session.id, f"Retrying {session.name}", lambda w: self.sessions.retry(session.id, w), cancellable=True
        )

    def plan_push(self, session: Session, branch: str = "") -> None:
        """Plan a push of `branch` ('': the current one) in a job; PushPlanned reports the plan."""

        def work(task: TaskContext) -> None:
            plan = self.sync.plan_push(session.id, task, branch=branch)
            self.bus.publish(PushPlanned(session.id, plan))

        self.jobs.start(session.id, f"Preparing to push {session.name}", work, cancellable=True)

    def push(self, session: Session, plan: PushPlan) -> None:
        """Push the planned commits in a job; WorkPushed reports the remote's answer."""
        self.jobs.start(
            session.id, f"Pushing {plan.branch}", lambda w: self.sync.push(session.id, plan, w), cancellable=True
        )

    def fetch_project(self, project: Project) -> None:
        """Fetch the upstream into the base clone in a job; ProjectFetched reports the changes."""
        self.jobs.start(
            project.id,
            f"Fetching {project.name}",
            lambda w: self.sync.fetch_project(project.id, w),
            cancellable=True,
        )

    def update_session(self, session: Session, *, rebase: bool = False) -> None:
        """Merge or rebase upstream commits in a job; SessionUpdated reports the result."""
        self.jobs.start(
            session.id,
            f"Updating {session.name}",
            lambda w: self.sync.update(session.id, w, rebase=rebase),
            cancellable=True,
        )

    def rescue(self, session: Session, rescue: SaveMethod, bundle: Path | None = None, *, remove: bool = False) -> None:
        """Save the session's work in a job, then remove the session if `remove`; WorkSaved reports the location."""
        from relay_tui.domain.unsaved_work import UNSAVABLE_KINDS, SaveMethod

        def work(task: TaskContext) -> None:
            rescued = self.sync.rescue(session.id, rescue, task, bundle=bundle)
            self.bus.publish(WorkSaved(session.id, rescued.words))
            if remove:
                task.raise_if_cancelled()
                if rescue is not SaveMethod.PUSH:  # a person who chose a push knows that it saves no files
                    self.removal.check(session.id, rescued.saved | UNSAVABLE_KINDS)
                self.sessions.remove(session.id, task)
                self._publish_removed(session)

        self.jobs.start(session.id, f"Saving {session.name}", work, cancellable=True)

    def remove_session(self, session: Session) -> None:
        """Remove the session in a job."""

        def work(task: TaskContext) -> None:
            self.sessions.remove(session.id, task)
            self._publish_removed(session)

        self.jobs.start(session.id, f"Removing {session.name}", work)

    def remove_project(self, project: Project) -> None:
        """Remove the project with all its sessions in a job."""

        def work(task: TaskContext) -> None:
            self.projects.remove(project.id, task)
            self._publish_removed(project)

        self.jobs.start(project.id, f"Removing {project.name}", work)

    def restore(self, found: Project | Session) -> None:
        """Restore a removed session, or a removed project with the sessions that were removed with it."""
        back = self.projects.restore(found.id) if isinstance(found, Project) else [self.sessions.restore(found.id)]
        for session in back:
            self.build(session)

    def undo(self) -> str:
        """Undo the last removal, of this relay or another; return the name. Raises ConflictError if there is none."""
        found = self.store.read().removed_last()
        if found is None:
            raise ConflictError("There is no removal to undo", hint="A purged session cannot be restored.")
        self.restore(found)
        return found.name

    def _publish_removed(self, found: Project | Session) -> None:
        self.bus.publish(SessionRemoved(found.name, self.trash.too_full()))

    def reconcile(self) -> None:
        """Execute all due reconciliation steps; the long ones as jobs, whose rows show the progress."""
        from relay_tui.services.reconcile.planner import LONG

        with self._reconciling:
            steps = self.reconciler.plan()
            self.orphans.note(steps)
            for step in steps:
                if step.act not in LONG:
                    self._execute(step, TaskContext())
                    continue
                try:
                    self.jobs.start(
                        step.subject,
                        step.words.capitalize(),
                        partial(self.reconciler.carry_out, step),
                        cancellable=True,
                    )
                except ConflictError as error:
                    log.info("skipped: %s: %s", step.words, error.title)

    def settle_strays(self, *, adopt: bool) -> list[OrphanResult]:
        """Adopt or remove all orphans; return the result of each."""
        with self._reconciling:
            settled = (self.orphans.adopt if adopt else self.orphans.trash)(self.orphans.found)
        self.reconcile()
        return settled

    def _execute(self, step: Step, task: TaskContext) -> None:
        try:
            self.reconciler.carry_out(step, task)
        except EngineUnreachableError:
            raise
        except RelayError as error:
            log.warning("reconcile: %s failed: %s: %s", step.words, error.title, error.detail)

    def _watch_store(self, watch: StoreWatcher) -> None:
        """Reconcile and purge without waiting for the engine, then watch the store for writes of other relays."""
        with watch:
            self.pending_updates.check_writable()
            self._reconcile_and_purge()
            self._publish_writes(watch)

    def _publish_writes(self, watch: StoreWatcher) -> None:
        last: object = None
        written = False  # since the previous check: thousands of rows were created and are garbage by now
        warned = self.store.warning()
        while not self._closed.is_set():
            try:
                stamp = self.store.version()
            except RelayError as error:
                stamp = error.detail  # cannot be checked: the screen shows the reason
            if stamp != last:
                self.bus.publish(RecordsChanged())
            elif written:
                release_free_memory()
            written, last = stamp != last, stamp
            if self.store.warning() != warned:  # the store was restored from its copy, which lacks the last change
                warned = self.store.warning()
                self._reconcile_and_purge()
            watch.wait(MEMORY_RELEASE_DELAY if written else STORE_CHECK_INTERVAL)

    def _reconcile_and_purge(self) -> None:
        try:
            self.reconcile()
            self.trash.purge(None, TaskContext())
        except RelayError as error:  # the next action that needs the disk or the store reports it again
            log.warning("reconciling or purging failed: %s: %s", error.title, error.detail)
        except Exception:  # a bug here must not end the thread
            log.exception("reconciling or purging failed")
