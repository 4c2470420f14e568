"""relay as a whole: the services side by side, and its long operations as background jobs."""

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

STORE_CHECK_INTERVAL = 10.0  # seconds between looks at the store, whatever is told of it
MEMORY_RELEASE_DELAY = 1.0  # seconds after a write until what it left in memory is given back


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Everything a person's hands need. Methods return at once; what they begin is announced on the bus."""

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
    facts: CloneStatusService
    outward: SyncService
    removal: RemovalService
    jobs: JobRunner
    engine: RuntimeMonitor
    processes: RuntimeMonitor | None = None
    reconciler: Reconciler
    doctor: Doctor
    trash: Trash
    strays: OrphanService
    unsaved: PendingUpdates
    _reconciling: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)
    _watches: list[StoreWatcher] = field(default_factory=list)

    def start(self) -> None:
        """Begin to watch the engine and the other relays, and go on with what a killed one left."""
        self.engine.on_connect = self.reconcile
        self.engine.on_drift = self.reconcile
        if self.processes is not None:
            self.processes.on_drift = self.reconcile
        watch = self.store.watch()
        self._watches.append(watch)
        threading.Thread(target=self._tidy_then_watch, args=(watch,), name="store watch", daemon=True).start()
        self.engine.start()
        if self.processes is not None:
            self.processes.on_drift = self.reconcile
            self.processes.start()

    def close(self) -> None:
        """Interrupt what runs and stop watching."""
        self._closed.set()
        for watch in self._watches:
            watch.wake()
        self.unsaved.close()
        self.engine.close()
        if self.processes is not None:
            self.processes.close()
        self.facts.close()
        self.jobs.quit(patience=3.0)

    def add_project(self, wanted: NewProject) -> Project:
        """Put a project on record and begin its clone."""
        project = self.projects.register(wanted)
        self.clone(project)
        return project

    def clone(self, project: Project) -> None:
        """Begin a project's clone; its first session is built when it is there."""

        def work(task: TaskContext) -> None:
            first = self.projects.clone(project.id, task)
            self.build(first)

        self.jobs.start(project.id, f"Cloning {project.name}", work, cancellable=True)

    def retry_project(self, project: Project, source: str = "") -> None:
        """Clone again, from another source if one is given."""
        if project.id in self.jobs.running():
            raise ConflictError(
                f"{project.name} is being cloned already", hint="Wait for it to end, or cancel it: {cancel}."
            )
        self.clone(self.projects.retry(project.id, source))

    def create_session(self, wanted: NewSession) -> Session:
        """Put a session on record and begin to build it."""
        session = self.sessions.register(wanted)
        self.build(session)
        return session

    def build(self, session: Session) -> None:
        """Begin to make whatever the session is missing, and start it."""
        self.jobs.start(
            session.id, f"Creating {session.name}", lambda w: self.sessions.build(session.id, w), cancellable=True
        )

    def start_session(self, session: Session) -> None:
        """Begin to start it."""
        self.jobs.start(
            session.id, f"Starting {session.name}", lambda w: self.sessions.start(session.id, w), cancellable=True
        )

    def stop_session(self, session: Session) -> None:
        """Begin to stop it."""
        self.jobs.start(session.id, f"Stopping {session.name}", lambda w: self.sessions.stop(session.id, w))

    def restart_session(self, session: Session) -> None:
        """Begin to restart it."""
        self.jobs.start(session.id, f"Restarting {session.name}", lambda w: self.sessions.restart(session.id, w))

    def retry_session(self, session: Session) -> None:
        """Begin to go on from what failed."""
        self.jobs.start(
            session.id, f"Retrying {session.name}", lambda w: self.sessions.retry(session.id, w), cancellable=True
        )

    def plan_push(self, session: Session, branch: str = "") -> None:
        """Begin to look at what a push would send ('': of the branch it is on); PushPlanned tells it."""

        def work(task: TaskContext) -> None:
            plan = self.outward.plan_push(session.id, task, branch=branch)
            self.bus.publish(PushPlanned(session.id, plan))

        self.jobs.start(session.id, f"Preparing to push {session.name}", work, cancellable=True)

    def push(self, session: Session, plan: PushPlan) -> None:
        """Begin to push what was planned; WorkPushed tells what the remote said."""
        self.jobs.start(
            session.id, f"Pushing {plan.branch}", lambda w: self.outward.push(session.id, plan, w), cancellable=True
        )

    def fetch_project(self, project: Project) -> None:
        """Begin to bring its base up to date; ProjectFetched tells what changed."""
        self.jobs.start(
            project.id,
            f"Fetching {project.name}",
            lambda w: self.outward.fetch_project(project.id, w),
            cancellable=True,
        )

    def update_session(self, session: Session, *, rebase: bool = False) -> None:
        """Begin to bring its base branch's newest commits into it; SessionUpdated tells what came of it."""
        self.jobs.start(
            session.id,
            f"Updating {session.name}",
            lambda w: self.outward.update(session.id, w, rebase=rebase),
            cancellable=True,
        )

    def rescue(self, session: Session, rescue: SaveMethod, bundle: Path | None = None, *, remove: bool = False) -> None:
        """Begin to bring its commits to safety, WorkRescued tells where; then to remove it, if `remove`."""
        from relay_tui.domain.unsaved_work import UNSAVABLE_KINDS, SaveMethod

        def work(task: TaskContext) -> None:
            rescued = self.outward.rescue(session.id, rescue, task, bundle=bundle)
            self.bus.publish(WorkSaved(session.id, rescued.words))
            if remove:
                task.raise_if_cancelled()
                if rescue is not SaveMethod.PUSH:  # of a push the person knows that it saves no files
                    self.removal.check(session.id, rescued.saved | UNSAVABLE_KINDS)
                self.sessions.remove(session.id, task)
                self._was_removed(session)

        self.jobs.start(session.id, f"Rescuing {session.name}", work, cancellable=True)

    def remove_session(self, session: Session) -> None:
        """Begin to remove it."""

        def work(task: TaskContext) -> None:
            self.sessions.remove(session.id, task)
            self._was_removed(session)

        self.jobs.start(session.id, f"Removing {session.name}", work)

    def remove_project(self, project: Project) -> None:
        """Begin to remove it with all its sessions."""

        def work(task: TaskContext) -> None:
            self.projects.remove(project.id, task)
            self._was_removed(project)

        self.jobs.start(project.id, f"Removing {project.name}", work)

    def restore(self, found: Project | Session) -> None:
        """Bring a removed session back, or a removed project with the sessions that went with it."""
        back = self.projects.restore(found.id) if isinstance(found, Project) else [self.sessions.restore(found.id)]
        for session in back:
            self.build(session)

    def undo(self) -> str:
        """Bring back what was removed last, by this relay or another; answer its name. Raises ConflictError."""
        found = self.store.read().removed_last()
        if found is None:
            raise ConflictError("Nothing was removed that could be brought back", hint="What is purged is gone.")
        self.restore(found)
        return found.name

    def _was_removed(self, found: Project | Session) -> None:
        self.bus.publish(SessionRemoved(found.name, self.trash.too_full()))

    def reconcile(self) -> None:
        """Take every step that is due: the long ones as jobs, on whose rows their progress shows."""
        from relay_tui.services.reconcile.planner import LONG

        with self._reconciling:
            steps = self.reconciler.plan()
            self.strays.note(steps)
            for step in steps:
                if step.act not in LONG:
                    self._take(step, TaskContext())
                    continue
                try:
                    self.jobs.start(
                        step.subject,
                        step.words.capitalize(),
                        partial(self.reconciler.carry_out, step),
                        cancellable=True,
                    )
                except ConflictError as error:
                    log.info("left alone: %s: %s", step.words, error.title)

    def settle_strays(self, *, adopt: bool) -> list[OrphanResult]:
        """Put the strays that were found on record, or away; answer what became of each."""
        with self._reconciling:
            settled = (self.strays.adopt if adopt else self.strays.trash)(self.strays.found)
        self.reconcile()
        return settled

    def _take(self, step: Step, task: TaskContext) -> None:
        try:
            self.reconciler.carry_out(step, task)
        except EngineUnreachableError:
            raise
        except RelayError as error:
            log.warning("reconcile: %s failed: %s: %s", step.words, error.title, error.detail)

    def _tidy_then_watch(self, watch: StoreWatcher) -> None:
        """Notice what other relays write. First, what does not need the engine, and the trash whose time is up."""
        with watch:
            self.unsaved.check_writable()
            self._tidy()
            self._notice_writes(watch)

    def _notice_writes(self, watch: StoreWatcher) -> None:
        last: object = None
        written = False  # since the look before: thousands of rows were made, and are garbage by now
        warned = self.store.warning()
        while not self._closed.is_set():
            try:
                stamp = self.store.version()
            except RelayError as error:
                stamp = error.detail  # no longer to be looked at: the screen says why
            if stamp != last:
                self.bus.publish(RecordsChanged())
            elif written:
                release_free_memory()
            written, last = stamp != last, stamp
            if self.store.warning() != warned:  # it came back from its copy, which lacks the last change
                warned = self.store.warning()
                self._tidy()
            watch.wait(MEMORY_RELEASE_DELAY if written else STORE_CHECK_INTERVAL)

    def _tidy(self) -> None:
        try:
            self.reconcile()
            self.trash.purge(None, TaskContext())
        except RelayError as error:  # said again by the next action that needs the disk or the store
            log.warning("tidying up failed: %s: %s", error.title, error.detail)
        except Exception:  # a bug here must not end the watch over the store
            log.exception("tidying up stumbled")
