"""relay as a whole: the services side by side, and its long operations as background jobs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from relay_tui.config import Config
from relay_tui.errors import ConflictError, RelayError
from relay_tui.events import Bus, RecordsChanged
from relay_tui.model import Project, Session
from relay_tui.paths import DataDir
from relay_tui.services.engine_watch import EngineWatch
from relay_tui.services.jobs import Jobs
from relay_tui.services.ports import Files, Git, Runtime, Store
from relay_tui.services.projects import NewProject, Projects
from relay_tui.services.sessions import NewSession, Sessions
from relay_tui.services.watch import Watch

RETENTION = 7.0  # days that the trash keeps what was removed
LOOK = 0.4  # seconds between looks whether another relay wrote the store


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Everything a person's hands need. Methods return at once; what they begin is announced on the bus."""

    config: Config
    data_dir: DataDir
    bus: Bus
    store: Store
    git: Git
    runtime: Runtime
    files: Files
    projects: Projects
    sessions: Sessions
    jobs: Jobs
    engine: EngineWatch
    _closed: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to watch the engine and the other relays, and tidy up after a killed one."""
        self.engine.start()
        threading.Thread(target=self._watch_store, name="store watch", daemon=True).start()

    def close(self) -> None:
        """Interrupt what runs and stop watching."""
        self._closed.set()
        self.engine.close()
        self.jobs.quit(patience=3.0)

    def add_project(self, wanted: NewProject) -> Project:
        """Put a project on record and begin its clone."""
        project = self.projects.register(wanted)
        self.clone(project)
        return project

    def clone(self, project: Project) -> None:
        """Begin a project's clone; its first session is built when it is there."""

        def work(watch: Watch) -> None:
            first = self.projects.clone(project.id, watch)
            self.build(first)

        self.jobs.start(project.id, f"Cloning {project.name}", work, cancellable=True)

    def retry_project(self, project: Project, source: str = "") -> None:
        """Clone again, from another source if one is given."""
        if project.id in self.jobs.running():
            raise ConflictError(f"{project.name} is being cloned already")
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

    def remove_session(self, session: Session) -> None:
        """Begin to remove it."""
        self.jobs.start(session.id, f"Removing {session.name}", lambda w: self.sessions.remove(session.id, w))

    def remove_project(self, project: Project) -> None:
        """Begin to remove it with all its sessions."""
        self.jobs.start(project.id, f"Removing {project.name}", lambda w: self.projects.remove(project.id, w))

    def _watch_store(self) -> None:
        """Notice what other relays write. First, what a killed one left: rows that claim to be worked on."""
        try:
            self.projects.settle_interrupted()
            self.files.empty_trash(RETENTION)
        except RelayError:
            pass  # a store that cannot be written is said by the next action that needs to write it
        last: object = None
        while not self._closed.wait(LOOK):
            stamp = self.store.stamp()
            if stamp != last:
                last = stamp
                self.bus.publish(RecordsChanged())
