"""Projects: add, clone, retry, remove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from relay_tui.config import Config
from relay_tui.errors import (
    CancelledError,
    ConflictError,
    Fault,
    InvalidInputError,
    NameTakenError,
    NotFoundError,
    RelayError,
)
from relay_tui.events import Bus, RecordsChanged
from relay_tui.model import CloneState, Desired, Project, Records, Session, new_id, now
from relay_tui.paths import DataDir
from relay_tui.services import names
from relay_tui.services.ports import Files, Git, Locks, Source, Store
from relay_tui.services.sessions import NewSession, Sessions
from relay_tui.services.watch import Watch

INTERRUPTED = Fault("cancelled", "relay was quit while cloning", hint="R clones again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """What a person typed to add a project; '' means: choose for me."""

    source: str
    name: str = ""
    branch: str = ""
    image: str = ""
    profile: str = ""


class Projects:
    """The use cases about projects. Thread-safe."""

    def __init__(
        self,
        *,
        store: Store,
        git: Git,
        files: Files,
        locks: Locks,
        bus: Bus,
        config: Config,
        data_dir: DataDir,
        sessions: Sessions,
    ) -> None:
        self._store = store
        self._git = git
        self._files = files
        self._locks = locks
        self._bus = bus
        self._config = config
        self._data_dir = data_dir
        self._sessions = sessions
        self._secrets: dict[str, Source] = {}  # by project id; in memory alone, and only until the clone is there

    def suggest_name(self, source: str) -> str:
        """A free name for a project cloned from `source`."""
        return names.suggest_project(source, self._store.read())

    def register(self, wanted: NewProject) -> Project:
        """Put the project on record; nothing is cloned yet. Raises InvalidInputError or NameTakenError."""
        source = self._git.parse_source(wanted.source)
        if wanted.branch:
            self._git.check_branch_name(wanted.branch)
        self._config.find_profile(wanted.profile)
        if wanted.name:
            names.check_name(wanted.name)
        with self._store.transaction() as change:
            name = wanted.name or names.suggest_project(source.url, change.records)
            _refuse_taken(name, change.records)
            stamp = now()
            project = Project(
                id=new_id(),
                name=name,
                source=source.url,
                default_branch=wanted.branch,
                default_image=wanted.image,
                default_profile=wanted.profile,
                created_at=stamp,
                updated_at=stamp,
            )
            change.put(project)
        self._secrets[project.id] = source
        self._bus.publish(RecordsChanged())
        return project

    def clone(self, project_id: str, watch: Watch) -> Session:
        """Make the base clone and put the first session on record (to be built by Sessions.build).

        Cancelled, it leaves nothing behind, not even the project's row. Failed, the row keeps git's words.
        """
        with self._locks.hold(project_id, "cloning a project"):
            project = self._unready(project_id, clone_state=CloneState.CLONING, clone_error=None)
            source = self._secrets.get(project_id, Source(project.source))
            base = self._data_dir.base(project_id)
            try:
                self._files.to_trash(base, project_id)  # of an earlier try, maybe from another source
                self._files.make_directory(base.parent)
                head = self._git.clone_base(source, base, watch)
                first = self._make_ready(project_id, head, base)
            except CancelledError:
                self._forget(project_id, keep=watch.quitting)
                raise
            except RelayError as error:
                self._change(project_id, clone_state=CloneState.ERROR, clone_error=error.fault)
                raise
        self._secrets.pop(project_id, None)
        return first

    def retry(self, project_id: str, source: str = "") -> Project:
        """Make a project ready for another clone(), from another source if one is given."""
        if not source:
            return self._unready(project_id, clone_state=CloneState.PENDING, clone_error=None)
        parsed = self._git.parse_source(source)
        project = self._unready(project_id, source=parsed.url, clone_state=CloneState.PENDING, clone_error=None)
        self._secrets[project_id] = parsed
        return project

    def sessions_of(self, project_id: str) -> list[Session]:
        """What goes with the project when it is removed."""
        return self._store.read().live_sessions(project_id)

    def remove(self, project_id: str, watch: Watch) -> None:
        """Remove the project with all its sessions, their containers and their directories (to the trash)."""
        with self._locks.hold(project_id, "removing a project"):
            project = self._find(project_id)
            for number, session in enumerate(sessions := self.sessions_of(project_id)):
                watch.stage(f"Removing {session.name}", number / len(sessions))
                self._sessions.remove(session.id, watch, last=True)
            watch.stage("Moving the base clone to the trash")
            self._files.to_trash(self._data_dir.project(project_id), project_id)
            stamp = now()
            with self._store.transaction() as change:
                change.put(
                    replace(change.records.projects.get(project_id, project), deleted_at=stamp, updated_at=stamp)
                )
        self._secrets.pop(project_id, None)
        self._bus.publish(RecordsChanged())

    def settle_interrupted(self) -> None:
        """Rows that say 'cloning' though no process does it belong to a relay that was killed: say so on the row."""
        records = self._store.read()
        for project in records.live_projects():
            unfinished = project.clone_state in {CloneState.CLONING, CloneState.PENDING}
            if unfinished and project.id not in self._secrets and not self._locks.holder(project.id):
                self._change(project.id, clone_state=CloneState.ERROR, clone_error=INTERRUPTED)

    def _make_ready(self, project_id: str, head: str, base: Path) -> Session:
        """Ready and first session become true in one transaction: a ready project always has a session."""
        heads = {branch.name for branch in self._git.branches(base)}
        with self._store.transaction() as change:
            project = change.records.projects[project_id]
            branch = project.default_branch or head
            if branch not in heads:
                raise InvalidInputError(
                    "branch",
                    f"The repository has no branch '{branch}'",
                    hint="R tries again; relay project remove forgets the project.",
                )
            project = replace(
                project, default_branch=branch, clone_state=CloneState.READY, clone_error=None, updated_at=now()
            )
            change.put(project)
            live = [s for s in change.records.live_sessions(project_id) if s.desired is not Desired.REMOVED]
            first = live[0] if live else self._sessions.draft(NewSession(project=project_id), change.records, heads)
            change.put(first)
        self._bus.publish(RecordsChanged())
        return first

    def _find(self, project_id: str) -> Project:
        project = self._store.read().projects.get(project_id)
        if project is None or project.deleted_at is not None:
            raise NotFoundError("That project is gone", project_id)
        return project

    def _unready(self, project_id: str, **changes: object) -> Project:
        """Change a project that is not cloned yet. Another relay may have cloned it meanwhile: ConflictError."""
        return self._change(project_id, unready=True, **changes)

    def _change(self, project_id: str, *, unready: bool = False, **changes: object) -> Project:
        with self._store.transaction() as change:
            project = change.records.projects.get(project_id)
            if project is None or (unready and project.deleted_at is not None):
                raise NotFoundError("That project is gone", project_id)
            if unready and project.clone_state is CloneState.READY:
                raise ConflictError(f"{project.name} is cloned already")
            project = replace(project, updated_at=now(), **changes)  # type: ignore[arg-type]
            change.put(project)
        self._bus.publish(RecordsChanged())
        return project

    def _forget(self, project_id: str, *, keep: bool) -> None:
        if keep:
            self._change(project_id, clone_state=CloneState.ERROR, clone_error=INTERRUPTED)
            return
        self._files.to_trash(self._data_dir.project(project_id), project_id)
        self._secrets.pop(project_id, None)
        with self._store.transaction() as change:
            change.drop(project_id)
        self._bus.publish(RecordsChanged())


def _refuse_taken(name: str, records: Records) -> None:
    if name.casefold() in {project.name.casefold() for project in records.live_projects()}:
        raise NameTakenError(f"There is a project '{name}' already", hint="Choose another name.")
