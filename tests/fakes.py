"""git and the engine as tests want them, and a relay built over them; its store, locks and files are the real ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fakes_machine import FakeMachine
from fakes_work import FakeExit, FakeLook
from scripted import Scripted
from waiting import wait_until

from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.adapters.git.clone.source import parse_source
from relay_tui.adapters.git.refs import check_branch_name
from relay_tui.adapters.store import TinyDBStore
from relay_tui.config import Config
from relay_tui.domain.errors import EngineUnreachableError, NotFoundError, RelayError
from relay_tui.domain.events import EngineStatus, EngineStatusChanged, Event, EventBus, JobEnded, JobProgressed
from relay_tui.domain.log_batch import LogBatch, pack_times
from relay_tui.domain.models import Branch, Identity, Project, Record, Session
from relay_tui.paths import DataDir
from relay_tui.ports import (
    CloneSource,
    ContainerSpec,
    ContainerState,
    ExecResult,
    LogChunk,
    ProcessControl,
    RunEnd,
    Runtime,
    Stats,
)
from relay_tui.ports.task import TaskContext
from relay_tui.services.clone_status import CloneStatusService
from relay_tui.services.doctor import Doctor
from relay_tui.services.jobs import JobRunner
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.projects import NewProject, ProjectService
from relay_tui.services.reconcile.orphans import OrphanService
from relay_tui.services.reconcile.pending_updates import PendingUpdates
from relay_tui.services.reconcile.reconciler import Reconciler
from relay_tui.services.reconcile.runtime_monitor import RuntimeMonitor
from relay_tui.services.relay import Relay
from relay_tui.services.removal import RemovalService
from relay_tui.services.runtime_router import ENGINE, RuntimeRouter
from relay_tui.services.sessions.builder import SessionBuilder
from relay_tui.services.sessions.drafts import NewSession, SessionDrafts
from relay_tui.services.sessions.repository import SessionRepository
from relay_tui.services.sessions.service import SessionService
from relay_tui.services.sync import SyncService
from relay_tui.services.trash import Trash

SOURCE = "https://host.example/team/alpha.git"

__all__ = ["SOURCE", "Container", "FakeExit", "FakeGit", "FakeLook", "FakeRuntime", "Rig", "Scripted", "build"]


class FakeGit(Scripted):
    """The Git port over directories that only look like clones; names and sources are judged by the real rules."""

    def __init__(self, heads: Sequence[str] = ("main", "dev", "fix/login")) -> None:
        super().__init__()
        self.heads = tuple(heads)
        self.sources: list[CloneSource] = []
        self.notes: list[str] = []

    def parse_source(self, text: str) -> CloneSource:
        """As git's adapter does."""
        return parse_source(text)

    def check_branch_name(self, name: str) -> None:
        """As git's adapter does."""
        check_branch_name(name)

    def clone_base(self, source: CloneSource, target: Path, task: TaskContext) -> str:
        """A directory that knows its heads; the first one is the default."""
        assert not target.exists()
        self.sources.append(source)
        task.report("Receiving objects", 0.42, "12.0 MiB at 3.5 MiB/s")
        self.begin("clone_base", task)
        target.mkdir(parents=True)
        (target / "HEAD").write_text(self.heads[0])
        (target / "heads").write_text("\n".join(self.heads))
        return self.heads[0]

    def origin(self, base: Path) -> str:
        """Return the source of the fake repositories."""
        assert (base / "HEAD").is_file()
        return SOURCE

    def default_branch(self, base: Path) -> str:
        """The first head."""
        return (base / "HEAD").read_text()

    def branch_of(self, work_dir: Path) -> str:
        """As clone_session noted it."""
        self.begin("branch_of")
        return (work_dir / ".git/origin").read_text().split(" ")[1]

    def branches(self, base: Path) -> list[Branch]:
        """The heads, all of one age."""
        self.begin("branches")
        names = (base / "heads").read_text().split("\n")
        return [Branch(name, "0" * 40, "2026-11-01T00:00:00Z", f"work on {name}") for name in names]

    def clone_session(
        self, base: Path, target: Path, *, branch: str, new_branch: str, origin: str, task: TaskContext
    ) -> list[str]:
        """Create a directory with a `.git` that records its origin."""
        assert not target.exists() or not any(target.iterdir())
        assert (base / "HEAD").is_file()
        task.report("Checking out", 0.5, "100/200")
        self.begin("clone_session", task)
        (target / ".git").mkdir(parents=True)
        (target / ".git/origin").write_text(f"{origin} {new_branch or branch}")
        return list(self.notes)

    def identity(self) -> Identity:
        """Somebody."""
        return Identity("Ada", "ada@host.example")


@dataclass
class Container:
    """A container that does nothing."""

    id: str
    spec: ContainerSpec
    status: str = "created"
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    finished_at: str = ""
    output: list[bytes] = field(default_factory=list)
    readings: list[Stats] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def say(self, data: bytes) -> None:
        """Write to its log."""
        with self.changed:
            self.output.append(data)
            self.changed.notify_all()

    def measure(self, *readings: Stats) -> None:
        """Be read."""
        with self.changed:
            self.readings += readings
            self.changed.notify_all()

    def become(self, status: str, exit_code: int | None = None, *, oom_killed: bool = False) -> None:
        """Start, or end."""
        with self.changed:
            self.status, self.exit_code, self.oom_killed = status, exit_code, oom_killed
            self.changed.notify_all()

    def observed(self) -> ContainerState:
        """Return the container's state in the form that the engine reports."""
        labels = self.spec.labels
        return ContainerState(
            self.id,
            labels["relay.session"],
            labels["relay.project"],
            self.status,
            self.exit_code,
            self.oom_killed,
            self.error,
            finished_at=self.finished_at,
            isolated=self.spec.isolated,
        )


class FakeEvents:
    """Event stream that ends when it is closed and breaks when the engine becomes unreachable."""

    def __init__(self) -> None:
        self._items: queue.Queue[str | RelayError | None] = queue.Queue()

    def put(self, item: str | RelayError) -> None:
        """Push a session's id, or what breaks the stream."""
        self._items.put(item)

    def __iter__(self) -> Iterator[str]:
        while (item := self._items.get()) is not None:
            if isinstance(item, RelayError):
                raise item
            yield item

    def close(self) -> None:
        """End it."""
        self._items.put(None)


class FakeLog:
    """A container's output so far, then what comes if it is followed."""

    def __init__(self, container: Container, *, follow: bool) -> None:
        self._container = container
        self._follow = follow
        self._closed = False
        self._told = 0

    def __iter__(self) -> Iterator[LogChunk]:
        while fresh := self._more():
            self._told += len(fresh)
            for data in fresh:
                yield LogChunk("stdout", data)

    def _more(self) -> list[bytes]:
        """Return the output written since the last call, or nothing at the end."""
        with self._container.changed:
            self._container.changed.wait_for(lambda: len(self._container.output) > self._told or self._over())
            return self._container.output[self._told :]

    def _over(self) -> bool:
        return self._closed or not self._follow or self._container.status != "running"

    def close(self) -> None:
        """End it."""
        with self._container.changed:
            self._closed = True
            self._container.changed.notify_all()


class FakeStats:
    """A container's readings so far, then what measure() adds, until it stops."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._told = 0
        self.closed = False

    def __iter__(self) -> Iterator[Stats]:
        while True:
            with self._container.changed:
                self._container.changed.wait_for(
                    lambda: (
                        self._told < len(self._container.readings) or self.closed or self._container.status != "running"
                    )
                )
                fresh = self._container.readings[self._told :]
            if self.closed or not fresh:
                return
            self._told += len(fresh)
            yield from fresh

    def close(self) -> None:
        """End it."""
        with self._container.changed:
            self.closed = True
            self._container.changed.notify_all()


class FakeLines(FakeLog):
    """The same as lines; each has a time of its own, a microsecond after the one before it."""

    def __init__(self, container: Container, *, follow: bool, tail: int | None, since: str, until: str) -> None:
        super().__init__(container, follow=follow)
        self._range = (since.encode(), until.encode() or b"3")
        self._lines = 0
        present = sum(map(_count, container.output))
        self._from = 0 if tail is None else present - tail

    def __iter__(self) -> Iterator[LogBatch]:  # type: ignore[override]
        while fresh := self._more():
            self._told += len(fresh)
            for data in fresh:
                numbered = enumerate(data.removesuffix(b"\n").split(b"\n"), self._lines)
                lines = [_time(number) + b" " + line for number, line in numbered if number >= self._from]
                wanted = [line for line in lines if self._range[0] <= line[:30] <= self._range[1]]
                self._lines += _count(data)
                if wanted:
                    yield pack_times(wanted, bytes(len(wanted)))

    def partial_lines(self) -> LogBatch:
        """Every line is whole."""
        return pack_times([], b"")


def _count(data: bytes) -> int:
    return data.removesuffix(b"\n").count(b"\n") + 1


def _time(number: int) -> bytes:
    return f"2026-11-20T10:{number // 60_000_000:02}:{number // 1_000_000 % 60:02}.{number % 1_000_000:06}000Z".encode()


class FakeRuntime(Scripted):
    """The Runtime port over containers in memory. `on_start` is what a container does once it is started."""

    def __init__(self) -> None:
        super().__init__()
        self.containers: dict[str, Container] = {}
        self.reachable = True
        self.on_start: Callable[[Container], None] = lambda _: None
        self.lent: list[str] = []
        self.asked: list[str] = []
        self.answers: dict[str, ExecResult] = {"rev-parse": ExecResult(1, b"", b"")}
        self.deleted: list[str] = []
        self.measured: dict[str, FakeStats] = {}
        self._made = 0
        self._streams: list[FakeEvents] = []

    # --- what happens to it from outside ---

    def go_down(self) -> None:
        """From now on nothing answers."""
        self.reachable = False
        for stream in self._streams:
            stream.put(_unreachable())
        self._streams.clear()

    def come_back(self) -> None:
        """It answers again."""
        self.reachable = True

    def tell(self, session_id: str) -> None:
        """Push an event about a session's container."""
        for stream in self._streams:
            stream.put(session_id)

    def end(self, session: Session, exit_code: int, *, oom_killed: bool = False) -> None:
        """A session's container ends by itself."""
        self.of(session).become("exited", exit_code, oom_killed=oom_killed)
        self.tell(session.id)

    def revive(self, session: Session) -> None:
        """Another tool starts a session's container."""
        self.of(session).become("running")
        self.tell(session.id)

    def lose(self, session: Session) -> None:
        """Another tool removes a session's container."""
        del self.containers[session.container_id]
        self.tell(session.id)

    def of(self, session: Session) -> Container:
        """The only container that belongs to a session."""
        (found,) = (c for c in self.containers.values() if c.spec.labels["relay.session"] == session.id)
        return found

    # --- the port ---

    def begin(self, call: str, task: TaskContext | None = None) -> None:
        """Record the call. Every method calls this first."""
        super().begin(call, task)
        if not self.reachable:
            raise _unreachable()

    def ping(self) -> str:
        """A name, a version, an address."""
        self.begin("ping")
        return "Fake 1.0 at unix:///fake.sock"

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """A container that is not running."""
        task.report("Pulling the image", 0.4, "2/5 layers")
        self.begin("create", task)
        for other in self.list_containers():
            if other.session_id == spec.labels["relay.session"]:
                del self.containers[other.container_id]
        self._made += 1
        made = Container(f"{self._made:064x}", spec)
        self.containers[made.id] = made
        return made.id

    def start(self, container_id: str) -> None:
        """Running, unless `on_start` has it end."""
        self.begin("start")
        container = self._find(container_id)
        container.become("running")
        self.on_start(container)

    def stop(self, container_id: str) -> None:
        """Ended by a signal."""
        self.begin("stop")
        container = self._find(container_id)
        if container.status == "running":
            container.become("exited", 137)

    def remove(self, container_id: str) -> None:
        """Gone."""
        self.begin("remove")
        self.containers.pop(container_id, None)

    def inspect(self, container_id: str) -> ContainerState:
        """Return the current state of the container."""
        self.begin("inspect")
        return self._find(container_id).observed()

    def run_history(self, container_id: str, since: str) -> list[RunEnd]:
        """Return no runs: this fake keeps no history."""
        del container_id, since
        return []

    def wait(self, container_id: str, seconds: float) -> ContainerState:
        """Return the current state at once, because a fake container ends immediately."""
        assert seconds > 0
        return self._find(container_id).observed()

    def list_containers(self) -> list[ContainerState]:
        """All of them."""
        if not self.reachable:
            raise _unreachable()
        return [container.observed() for container in self.containers.values()]

    def events(self) -> FakeEvents:
        """Return a stream of the events that tell() pushes."""
        self.begin("events")
        stream = FakeEvents()
        self._streams.append(stream)
        return stream

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", timestamps: bool = False
    ) -> FakeLog:
        """A container's output, whole."""
        del tail, since, timestamps
        self.begin("logs")
        return FakeLog(self._find(container_id), follow=follow)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> FakeLines:
        """A container's output as lines."""
        self.begin("log_lines")
        return FakeLines(self._find(container_id), follow=follow, tail=tail, since=since, until=until)

    def stats(self, container_id: str) -> FakeStats:
        """A container's readings."""
        self.begin("stats")
        stream = FakeStats(self._find(container_id))
        self.measured[container_id] = stream
        return stream

    def attach(self, container_id: str) -> None:
        """Record that the terminal was handed over."""
        self.lent.append(f"attach {container_id}")

    def run(self, container_id: str, command: Sequence[str]) -> int:
        """Record that the terminal was handed over."""
        self.lent.append(f"run {container_id} {' '.join(command)}".rstrip())
        return 0

    def exec_capture(
        self, container_id: str, command: Sequence[str], task: TaskContext, *, given: Path | None = None
    ) -> ExecResult:
        """Return the first matching answer set by a test, otherwise success without output."""
        del given
        task.report("Running")
        self.begin("ask", task)
        assert self._find(container_id).status == "running"
        words = " ".join(command)
        self.asked.append(words)
        return next((answer for part, answer in self.answers.items() if part in words), ExecResult(0, b"", b""))

    def delete_tree(self, path: Path, image: str) -> None:
        """Note what it was asked to delete."""
        self.begin("delete_tree")
        self.deleted.append(f"{path} {image}")

    def reclaim_ownership(self, path: Path, image: str) -> None:
        """Note what it was asked to take back."""
        self.begin("reclaim_ownership")
        self.deleted.append(f"{path} {image}")

    def _find(self, container_id: str) -> Container:
        if container_id not in self.containers:
            raise NotFoundError("No such container", container_id)
        return self.containers[container_id]


def _unreachable() -> EngineUnreachableError:
    return EngineUnreachableError("The engine does not answer", "dial unix: connection refused", "Start it.")


@dataclass(frozen=True)
class Rig:
    """A relay with its fakes and the events that it published."""

    relay: Relay
    git: FakeGit
    engine: FakeRuntime
    look: FakeLook
    way_out: FakeExit
    locks: FileLocks
    files: DataFiles
    events: list[Event]

    @property
    def machine(self) -> FakeMachine:
        """The machine that the doctor looks at."""
        machine = self.relay.doctor.host
        assert isinstance(machine, FakeMachine)
        return machine

    @property
    def root(self) -> Path:
        """The data dir."""
        return self.relay.data_dir.root

    def put(self, *records: Record) -> None:
        """Write records as they are."""
        with self.relay.store.transaction() as change:
            for record in records:
                change.put(record)

    def project(self, project_id: str) -> Project:
        """A project as the store has it."""
        return self.relay.store.read().projects[project_id]

    def session(self, session_id: str) -> Session:
        """A session as the store has it."""
        return self.relay.store.read().sessions[session_id]

    def live(self, project: Project | None = None) -> list[Session]:
        """The sessions that are not removed."""
        return self.relay.store.read().live_sessions(project.id if project else None)

    def ready(self, source: str = SOURCE, **wanted: str) -> Project:
        """A project, cloned, whose first session runs; made in the foreground."""
        project = self.relay.projects.register(NewProject(source=source, **wanted))
        first = self.relay.projects.clone(project.id, TaskContext())
        self.relay.sessions.build(first.id, TaskContext())
        return self.project(project.id)

    def drafted(self, project: Project, **wanted: str) -> Session:
        """A session on record, of which nothing is made yet."""
        return self.relay.sessions.register(NewSession(project=project.id, **wanted))

    def running(self, project: Project, **wanted: str) -> Session:
        """Another session that runs; made in the foreground."""
        return self.relay.sessions.build(self.drafted(project, **wanted).id, TaskContext())

    def idle(self) -> None:
        """Wait until every started job has been announced as ended."""

        def all_ended() -> bool:
            begun = {event.job.id for event in tuple(self.events) if isinstance(event, JobProgressed)}
            return begun == {event.job.id for event in self.ended()} and not self.relay.jobs.running()

        wait_until(all_ended, what="every job to end")

    def ended(self) -> list[JobEnded]:
        """The jobs that ended."""
        return [event for event in tuple(self.events) if isinstance(event, JobEnded)]

    def statuses(self) -> list[EngineStatus]:
        """Return the published statuses of the engine."""
        return [event.status for event in tuple(self.events) if isinstance(event, EngineStatusChanged)]


def build(
    root: Path,
    *,
    config: Config | None = None,
    git: FakeGit | None = None,
    engine: FakeRuntime | None = None,
    processes: ProcessControl | None = None,
) -> Rig:
    """A relay over the data dir `root`; give two of them one engine, and they are two relays on one machine.

    With `processes`, sessions can be processes too.
    """
    place = DataDir(root)
    place.prepare()
    config = config or Config(path=root / "config.toml", glyphs="unicode")
    git, engine = git or FakeGit(), engine or FakeRuntime()
    bus, store, files = EventBus(), TinyDBStore(place.store), DataFiles(place)
    locks = OperationLocks(FileLocks(place.locks))
    look = FakeLook()
    runtime: Runtime = RuntimeRouter(docker=engine, process=processes) if processes is not None else engine
    repository = SessionRepository(store, bus, place)
    drafts = SessionDrafts(store=store, git=git, runtime=runtime, config=config, data_dir=place)
    builder = SessionBuilder(
        repository=repository, drafts=drafts, git=git, inspector=look, runtime=runtime, files=files, locks=locks
    )
    sessions = SessionService(
        repository=repository, builder=builder, inspector=look, runtime=runtime, files=files, locks=locks
    )
    way_out = FakeExit()
    sync = SyncService(
        repository=repository,
        git=git,
        transfer=way_out,
        runtime=runtime,
        files=files,
        locks=locks,
        bus=bus,
        data_dir=place,
    )
    projects = ProjectService(
        repository=repository,
        drafts=drafts,
        git=git,
        files=files,
        locks=locks,
        config=config,
        data_dir=place,
        sessions=sessions,
    )
    trash = Trash(store=store, files=files, runtime=runtime, locks=locks, bus=bus, config=config)
    removal = RemovalService(
        repository=repository, inspector=look, files=files, sessions=sessions, sync=sync, trash=trash, data_dir=place
    )
    reconciler = Reconciler(
        store=store, files=files, runtime=runtime, locks=locks, bus=bus, projects=projects, sessions=sessions
    )
    unsaved = PendingUpdates(files=files, bus=bus, again=0.05)
    relay = Relay(
        config=config,
        data_dir=place,
        bus=bus,
        store=store,
        git=git,
        runtime=runtime,
        files=files,
        projects=projects,
        drafts=drafts,
        sessions=sessions,
        clone_status=CloneStatusService(repository=repository, files=files, inspector=look, bus=bus),
        sync=sync,
        removal=removal,
        jobs=JobRunner(bus),
        engine=RuntimeMonitor(runtime=engine, store=store, locks=locks, bus=bus, pending=unsaved),
        pending_updates=unsaved,
        reconciler=reconciler,
        doctor=Doctor(
            host=FakeMachine(),
            store=store,
            data_dir=place,
            config=config,
            plan=reconciler.plan,
            unreachable=lambda: reconciler.unreachable,
            choose=lambda _project, _records, _ask: ENGINE,
            confinement=lambda: "Landlock (version 3)",
        ),
        trash=trash,
        orphans=OrphanService(
            store=store,
            git=git,
            files=files,
            runtime=runtime,
            bus=bus,
            config=config,
            data_dir=place,
            projects=projects,
            sessions=sessions,
        ),
    )
    events: list[Event] = []
    bus.subscribe(events.append)
    return Rig(relay, git, engine, look, way_out, FileLocks(place.locks), files, events)
