"""Wiring: create relay with its adapters. A library is imported only when an adapter needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from relay_tui import config as configuration
from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.adapters.filesystem.file_locks import FileLocks
from relay_tui.adapters.store import TinyDBStore
from relay_tui.bootstrap.factory import ServiceFactory
from relay_tui.bootstrap.log_file import log_to_file
from relay_tui.config import Config
from relay_tui.domain.errors import ConfigError
from relay_tui.domain.events import EventBus
from relay_tui.paths import DataDir, config_file, default_data_dir
from relay_tui.services.clone_status import CloneStatusService
from relay_tui.services.jobs import JobRunner
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.reconcile.pending_updates import PendingUpdates
from relay_tui.services.reconcile.runtime_monitor import RuntimeMonitor
from relay_tui.services.relay import Relay
from relay_tui.services.runtime_router import PROCESS, RuntimeRouter
from relay_tui.services.sessions.repository import SessionRepository

if TYPE_CHECKING:
    from relay_tui.adapters.docker import DockerRuntime
    from relay_tui.adapters.git import GitAdapter
    from relay_tui.adapters.git.inspection.adapter import GitInspector
    from relay_tui.adapters.git.transfer import GitTransferAdapter
    from relay_tui.adapters.process.runtime import ProcessRuntime
    from relay_tui.services.doctor import Doctor
    from relay_tui.services.reconcile.reconciler import Reconciler
    from relay_tui.services.sessions.drafts import SessionDrafts


T = TypeVar("T")


_READ_TIMEOUT = 1.5
"""Seconds in which a file system has to answer the read of a small file."""


def build_relay(data_dir: Path | None = None) -> Relay:
    """Create relay for `data_dir` (None: the default). Raises ConfigError or FileSystemError."""
    resolved = _resolve_data_dir(data_dir)
    config = configuration.load(config_file())
    resolved.prepare()
    return _wire(resolved, config)


def build_doctor(data_dir: Path | None = None, *, debug: bool = False) -> Doctor:
    """Create the doctor for `data_dir`, even if that or the configuration cannot be read. Changes nothing there.

    A file on a file system that hangs is replaced by its default: a check reports that file system later.
    """
    unresolved = DataDir((data_dir or default_data_dir()).expanduser().absolute())
    resolved = _within_timeout(lambda: _resolve_data_dir(data_dir), unresolved)
    config = _within_timeout(lambda: configuration.load(config_file()), Config(path=config_file()))
    _within_timeout(lambda: log_to_file(debug=debug), None)
    return _wire(resolved, config).doctor


def build_demo_relay(data_dir: Path, config: Config) -> Relay:
    """Create relay for a temporary data directory, with its own configuration. Raises FileSystemError."""
    resolved = DataDir(data_dir)
    resolved.prepare()
    return _wire(resolved, config)


def _within_timeout(call: Callable[[], T], default: T) -> T:
    """Return the result of `call`, or `default` if it fails or does not return within the timeout."""
    results: list[T] = []

    def run() -> None:
        with suppress(ConfigError, OSError):
            results.append(call())

    thread = threading.Thread(target=run, name="read with timeout", daemon=True)
    thread.start()
    thread.join(_READ_TIMEOUT)
    return results[0] if results else default


def _resolve_data_dir(data_dir: Path | None) -> DataDir:
    """Return the data directory with symlinks resolved: containers are labelled with one path for each directory."""
    return DataDir((data_dir or default_data_dir()).expanduser().resolve())


def _wire(data_dir: DataDir, config: Config) -> Relay:
    """Create what the first paint needs; everything else is created at its first use."""
    bus = EventBus()
    store = TinyDBStore(data_dir.store)
    repository = SessionRepository(store, bus, data_dir)
    git = _lazy("git", _create_git)
    inspector = _lazy("clone inspector", _create_inspector)
    transfer = _lazy("git transfer", lambda: _create_transfer(data_dir))
    files = DataFiles(data_dir)
    locks = OperationLocks(FileLocks(data_dir.locks))
    engine = _lazy("docker runtime", lambda: _create_docker(data_dir))
    processes = _lazy("process runtime", lambda: _create_processes(data_dir))
    # not lazy: services ask isinstance(runtime, RuntimeRouter), which would create it
    runtime = RuntimeRouter(docker=engine, process=processes)
    pending = PendingUpdates(files=files, bus=bus)
    factory = ServiceFactory(
        data_dir=data_dir,
        config=config,
        bus=bus,
        store=store,
        repository=repository,
        git=git,
        inspector=inspector,
        transfer=transfer,
        files=files,
        locks=locks,
        runtime=runtime,
    )
    drafts = _lazy("drafts", factory.drafts)
    sessions = _lazy("sessions", lambda: factory.sessions(drafts))
    projects = _lazy("projects", lambda: factory.projects(drafts, sessions))
    sync = _lazy("sync", factory.sync)
    trash = _lazy("trash", factory.trash)
    reconciler = _lazy("reconciler", lambda: factory.reconciler(projects, sessions))
    return Relay(
        config=config,
        data_dir=data_dir,
        bus=bus,
        store=store,
        git=git,
        runtime=runtime,
        files=files,
        projects=projects,
        drafts=drafts,
        sessions=sessions,
        clone_status=CloneStatusService(repository=repository, files=files, inspector=inspector, bus=bus),
        sync=sync,
        removal=_lazy("removal", lambda: factory.removal(sessions, sync, trash)),
        jobs=JobRunner(bus),
        engine=RuntimeMonitor(runtime=engine, store=store, locks=locks, bus=bus, pending=pending),
        processes=RuntimeMonitor(runtime=processes, store=store, locks=locks, bus=bus, pending=pending, kind=PROCESS),
        pending_updates=pending,
        reconciler=reconciler,
        doctor=_lazy("doctor", lambda: _create_doctor(data_dir, config, store, reconciler, drafts, inspector)),
        trash=trash,
        orphans=factory.orphans(projects, sessions),
    )


def _create_git() -> GitAdapter:
    from relay_tui.adapters.git import GitAdapter

    return GitAdapter()


def _create_inspector() -> GitInspector:
    from relay_tui.adapters.git.inspection.adapter import GitInspector

    return GitInspector()


def _create_transfer(data_dir: DataDir) -> GitTransferAdapter:
    from relay_tui.adapters.git.transfer import GitTransferAdapter

    return GitTransferAdapter(data_dir.tmp)


def _create_docker(data_dir: DataDir) -> DockerRuntime:
    from relay_tui.adapters.docker import DockerRuntime

    return DockerRuntime(data_dir.root, data_dir.cache)


def _create_processes(data_dir: DataDir) -> ProcessRuntime:
    from relay_tui.adapters.process.runtime import ProcessRuntime

    return ProcessRuntime(data_dir)


def _create_doctor(
    data_dir: DataDir,
    config: Config,
    store: TinyDBStore,
    reconciler: Reconciler,
    drafts: SessionDrafts,
    inspector: GitInspector,
) -> Doctor:
    from relay_tui.adapters.host import LocalHost
    from relay_tui.services.doctor import Doctor
    from relay_tui.services.sessions.drafts import NewSession

    return Doctor(
        host=LocalHost(data_dir),
        store=store,
        data_dir=data_dir,
        config=config,
        plan=reconciler.plan,
        unreachable=lambda: reconciler.unreachable,
        choose=lambda project, records, ping: drafts.choose_runtime(NewSession(project=project), records, ping),
        confinement=lambda: inspector.confinement(),
    )


class LazyProxy:
    """Proxy that creates its target at the first use, so that the first paint imports only what it draws.

    Attribute access and isinstance() are forwarded to the target, and both create it. repr() does not: it shows the
    proxy with its name and the target, if there is one. type() returns LazyProxy.
    """

    def __init__(self, name: str, create: Callable[[], object]) -> None:
        self._name = name
        self._create = create
        self._target: object = None
        self._lock = threading.Lock()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The target's class, which isinstance() asks for."""
        return type(self._resolve())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._resolve(), name)

    def __repr__(self) -> str:
        """Return the name and the target, without creating it."""
        return f"<LazyProxy {self._name}: {'not created yet' if self._target is None else repr(self._target)}>"

    def _resolve(self) -> object:
        with self._lock:
            if self._target is None:
                self._target = self._create()
        return self._target


def _lazy(name: str, create: Callable[[], T]) -> T:
    return cast("T", LazyProxy(name, create))
