"""relay's services over real files and real git, every port of which is wrapped by a fuse that can end the process."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from crash_processes import Processes, configured

from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.inspection.adapter import GitInspector
from relay_tui.adapters.git.transfer import GitTransferAdapter
from relay_tui.adapters.store import TinyDBStore
from relay_tui.config import Config
from relay_tui.domain.errors import EngineError, NotFoundError
from relay_tui.domain.events import EventBus
from relay_tui.domain.models import CloneState, Project, Records, Session, SessionState
from relay_tui.paths import DataDir
from relay_tui.ports import (
    ContainerSpec,
    ContainerState,
    ExecResult,
    Locks,
    LogChunk,
    Runtime,
    Store,
    StoreWatcher,
    Transaction,
)
from relay_tui.ports.task import TaskContext
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.projects import NewProject, ProjectService
from relay_tui.services.reconcile.reconciler import Reconciler
from relay_tui.services.runtime_router import RuntimeRouter
from relay_tui.services.sessions.builder import SessionBuilder
from relay_tui.services.sessions.drafts import NewSession, SessionDrafts
from relay_tui.services.sessions.repository import SessionRepository
from relay_tui.services.sessions.service import SessionService
from relay_tui.services.sync import SyncService
from relay_tui.services.trash import Trash

KILLED = 137
_CHANGES = frozenset({"os.rename", "os.rmdir", "os.remove", "os.link", "os.truncate", "subprocess.Popen"})
_READS = frozenset(
    {"has_clone", "survey", "trash_entries", "measure", "inspect", "observe", "logs", "wait"}
    | {"parse_source", "check_branch_name", "branches", "identity"}
)
T = TypeVar("T")


# --- the fuse --------------------------------------------------------------------------------------------------------


class Fuse:
    """Counts the points that an operation passes, and ends the process at one of them."""

    def __init__(self, burns_at: int | None = None, *, inside: bool = False, only: tuple[str, ...] = ()) -> None:
        self._burns_at = burns_at
        self._only = only  # what a point's name has to hold, one of them, to count
        self._inside = inside
        self._lock = threading.Lock()
        self._lit = False
        self.points: list[str] = []
        self.commits = 0

    def light(self, tell: Callable[[Fuse], None]) -> None:
        """Count from now on. `tell` is called before the process is ended."""
        self._tell = tell
        self._lit = True
        if self._inside:
            sys.addaudithook(self._audit)

    def pass_point(self, name: str) -> None:
        """A point between two calls."""
        if not self._inside:
            self._count(name)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._lit and _changes_something(event, arguments):
            self._count(f"{event} {arguments[0]}")

    def _count(self, name: str) -> None:
        if not self._lit or (self._only and not any(part in name for part in self._only)):
            return
        with self._lock:
            burns = len(self.points) == self._burns_at
            self.points.append(name)
            if burns:
                self._lit = False
                self._tell(self)
                os._exit(KILLED)


def _changes_something(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether Python is about to change the file system or to start a program that may change it."""
    if event == "open":
        path, _, flags = arguments
        new = not isinstance(path, str) or not path.endswith(".lock") or not Path(path).exists()
        return bool(flags & (os.O_WRONLY | os.O_RDWR)) and new
    if event == "os.mkdir":
        return not Path(arguments[0]).exists()
    return event in _CHANGES


class _Fused:
    """A port whose calls pass a point before, and those that change something also after."""

    def __init__(self, port: object, name: str, fuse: Fuse) -> None:
        self._port = port
        self._name = name
        self._fuse = fuse

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401
        call = getattr(self._port, method)

        def fused(*arguments: object, **options: object) -> object:
            self._fuse.pass_point(f"before {self._name}.{method}")
            answer = call(*arguments, **options)
            if method not in _READS:
                self._fuse.pass_point(f"after {self._name}.{method}")
            return answer

        return fused


def _fused(port: T, name: str, fuse: Fuse) -> T:
    return cast("T", _Fused(port, name, fuse))


class _FusedStore:
    """Store with crash points.

    A transaction passes one before and after it begins, and before and after it is written.
    """

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        self._fuse.pass_point("before store.begin")
        with self._store.transaction(urgent=urgent) as change:
            self._fuse.pass_point("after store.begin")
            yield change
            self._fuse.pass_point("before store.commit")
        self._fuse.commits += 1
        self._fuse.pass_point("after store.commit")

    def read(self) -> Records:
        return self._store.read()

    def version(self) -> object:
        return self._store.version()

    def watch(self) -> StoreWatcher:
        """As the store does."""
        return self._store.watch()

    def warning(self) -> str:
        return self._store.warning()


class _FusedLocks:
    """Locks: a point on either side of taking and of releasing."""

    def __init__(self, locks: Locks, fuse: Fuse) -> None:
        self._locks = locks
        self._fuse = fuse

    @contextmanager
    def hold(self, key: str, purpose: str) -> Iterator[None]:
        self._fuse.pass_point("before locks.hold")
        with self._locks.hold(key, purpose):
            self._fuse.pass_point("after locks.hold")
            yield
            self._fuse.pass_point("before locks.release")
        self._fuse.pass_point("after locks.release")

    def holder(self, key: str) -> str:
        return self._locks.holder(key)


# --- an engine that outlives the process -----------------------------------------------------------------------------


class _NoLog:
    def __iter__(self) -> Iterator[LogChunk]:
        return iter(())

    def close(self) -> None:
        """Nothing was opened."""


class Ended(Protocol):
    """Questions of the harness to the runtime of the sessions."""

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the containers or processes by id."""
        ...

    def put(self, container_id: str, **changes: object) -> None:
        """Change one."""
        ...

    def remove(self, container_id: str) -> None:
        """Remove one."""
        ...

    def revive(self, records: Records) -> None:
        """Start what a copied world has as running."""
        ...

    def wrong(self, records: Records) -> Iterator[str]:
        """Yield the errors that only this runtime can have."""
        ...


class FileRuntime:
    """The Runtime port over containers that are rows of a JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> dict[str, dict[str, Any]]:
        """The containers by id."""
        try:
            found: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return found

    def write(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace them, whole or not at all."""
        staged = self._path.with_suffix(".tmp")
        staged.write_text(json.dumps(rows))
        staged.replace(self._path)

    def put(self, container_id: str, **changes: object) -> None:
        """Change a container, or make one."""
        rows = self.rows()
        rows[container_id] = rows.get(container_id, {}) | changes
        self.write(rows)

    def revive(self, records: Records) -> None:
        """Do nothing: the file already records the container as running."""

    def wrong(self, records: Records) -> Iterator[str]:
        """Return no errors, because the rows already contain every state of this runtime."""
        del records
        return iter(())

    def ping(self) -> str:
        return "A file"

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        task.raise_if_cancelled()
        session_id = spec.labels["relay.session"]
        rows = {key: row for key, row in self.rows().items() if row["session"] != session_id}
        container_id = f"{int.from_bytes(os.urandom(8), 'big'):064x}"
        row = {"session": session_id, "project": spec.labels["relay.project"], "status": "created", "exit_code": None}
        self.write(rows | {container_id: row | {"image": spec.image, "workspace": str(spec.workspace)}})
        return container_id

    def start(self, container_id: str) -> None:
        row = self._find(container_id)
        assert (Path(row["workspace"]) / ".git").is_dir(), "started over a clone that is not whole"
        self.put(container_id, status="running", exit_code=None)

    def stop(self, container_id: str) -> None:
        if self._find(container_id)["status"] == "running":
            self.put(container_id, status="exited", exit_code=137)

    def remove(self, container_id: str) -> None:
        rows = self.rows()
        if rows.pop(container_id, None) is not None:
            self.write(rows)

    def inspect(self, container_id: str) -> ContainerState:
        return self._observed(container_id, self._find(container_id))

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        del seconds
        return self.inspect(container_id)

    def list_containers(self) -> list[ContainerState]:
        return [self._observed(key, row) for key, row in self.rows().items()]

    def logs(self, container_id: str, **_: object) -> _NoLog:
        self._find(container_id)
        return _NoLog()

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        raise EngineError("Nothing runs in a file", f"{container_id} {command} {task} {given}")

    def reclaim_ownership(self, path: Path, image: str) -> None:
        raise EngineError("Nothing here belongs to another user", f"{path} {image}")

    def delete_tree(self, path: Path, image: str) -> None:
        raise EngineError("Nothing here belongs to another user", f"{path} {image}")

    def _find(self, container_id: str) -> dict[str, Any]:
        rows = self.rows()
        if container_id not in rows:
            raise NotFoundError("No such container", container_id)
        return rows[container_id]

    @staticmethod
    def _observed(container_id: str, row: Mapping[str, Any]) -> ContainerState:
        return ContainerState(container_id, row["session"], row["project"], row["status"], row["exit_code"])


# --- relay over it ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """relay's services over a directory that holds a data dir, an engine's file and repositories."""

    root: Path
    store: Store
    files: DataFiles
    engine: Ended
    projects: ProjectService
    sessions: SessionService
    outward: SyncService
    reconciler: Reconciler
    trash: Trash

    @property
    def place(self) -> DataDir:
        """The data dir."""
        return DataDir(self.root / "data")

    @property
    def records(self) -> Records:
        """As they are now."""
        return self.store.read()

    def project(self, name: str) -> Project:
        """A project by its name, removed or not."""
        return next(p for p in self.records.projects.values() if p.name == name)

    def session(self, name: str) -> Session:
        """A session by its name, removed or not."""
        return next(s for s in self.records.sessions.values() if s.name == name)

    def add(self, repository: str, name: str) -> Project:
        """A project with its first session, as the command line adds it."""
        wanted = NewProject(source=str(self.root.parent / repository), name=name, image="box")
        project = self.projects.register(wanted)
        self.sessions.build(self.projects.clone(project.id, TaskContext()).id, TaskContext())
        return project

    def has(self, name: str) -> bool | None:
        """Return whether a project exists with one running session; None if there is no such project."""
        for project in self.records.live_projects():
            if project.name == name:
                states = [s.state for s in self.records.live_sessions(project.id)]
                return project.clone_state is CloneState.READY and states == [SessionState.RUNNING]
        return None

    def create(self, project: str, name: str, branch: str) -> Session:
        """A session, as the command line creates it."""
        wanted = NewSession(project=self.project(project).id, name=name, branch=branch)
        return self.sessions.build(self.sessions.register(wanted).id, TaskContext())

    def restore(self, sessions: Sequence[Session]) -> None:
        """Build the sessions after their records were restored."""
        for session in sessions:
            self.sessions.build(session.id, TaskContext())


def bench(
    root: Path,
    fuse: Fuse | None = None,
    *,
    config: Config | None = None,
    clock: Callable[[], float] = time.time,
    processes: bool = False,
) -> Bench:
    """relay over `root`, its ports fused if there is a fuse; `clock` is the trash's."""
    fuse = fuse or Fuse()
    place = DataDir(root / "data")
    place.prepare()
    files, bus = DataFiles(place), EventBus()
    config = config or (configured if processes else Config)(path=root / "config.toml")
    container_file = FileRuntime(root / "engine.json")
    engine: Ended = Processes(place) if processes else container_file
    store: Store = _FusedStore(TinyDBStore(place.store), fuse)
    locks = OperationLocks(_FusedLocks(FileLocks(place.locks), fuse))
    git = _fused(GitAdapter(), "git", fuse)
    fused_files = _fused(files, "files", fuse)
    runtime = cast("Runtime", _fused(container_file, "runtime", fuse))
    if isinstance(engine, Processes):
        runtime = RuntimeRouter(docker=runtime, process=_fused(engine.runtime, "runtime", fuse))
    repository = SessionRepository(store, bus, place)
    inspector = _fused(GitInspector(), "look", fuse)
    drafts = SessionDrafts(store=store, git=git, runtime=runtime, config=config, data_dir=place)
    builder = SessionBuilder(
        repository=repository,
        drafts=drafts,
        git=git,
        inspector=inspector,
        runtime=runtime,
        files=fused_files,
        locks=locks,
    )
    sessions = SessionService(
        repository=repository, builder=builder, inspector=inspector, runtime=runtime, files=fused_files, locks=locks
    )
    projects = ProjectService(
        repository=repository,
        drafts=drafts,
        git=git,
        files=fused_files,
        locks=locks,
        config=config,
        data_dir=place,
        sessions=sessions,
    )
    way_out = _fused(GitTransferAdapter(place.tmp), "exit", fuse)
    outward = SyncService(
        repository=repository,
        git=git,
        transfer=way_out,
        runtime=runtime,
        files=fused_files,
        locks=locks,
        bus=bus,
        data_dir=place,
    )
    reconciler = Reconciler(
        store=store, files=fused_files, runtime=runtime, locks=locks, bus=bus, projects=projects, sessions=sessions
    )
    trash = Trash(store=store, files=fused_files, runtime=runtime, locks=locks, bus=bus, config=config, clock=clock)
    return Bench(root, store, files, engine, projects, sessions, outward, reconciler, trash)
