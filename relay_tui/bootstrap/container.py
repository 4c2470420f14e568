"""The one place where services get their adapters. No library is imported here before it is needed."""

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

if TYPE_CHECKING:
    from relay_tui.adapters.docker import DockerRuntime
    from relay_tui.adapters.git import GitAdapter
    from relay_tui.adapters.git.inspection.adapter import GitInspector
    from relay_tui.adapters.git.transfer import GitTransferAdapter
    from relay_tui.adapters.process.runtime import ProcessRuntime
    from relay_tui.services.doctor import Doctor
    from relay_tui.services.reconcile.reconciler import Reconciler
    from relay_tui.services.sessions.service import SessionService


T = TypeVar("T")


_SOON = 1.5
"""Seconds that a file system has to show a small file."""


def build_relay(data_dir: Path | None = None) -> Relay:
    """relay over `data_dir` (the default one if None). Raises ConfigError or FileSystemError."""
    place = _place(data_dir)
    config = configuration.load(config_file())
    place.prepare()
    return _over(place, config)


def build_doctor(data_dir: Path | None = None, *, debug: bool = False) -> Doctor:
    """The doctor for `data_dir`, whatever is wrong with it or with the configuration; changes nothing there.

    What lies on a file system that hangs is gone without: the doctor says so later.
    """
    named = DataDir((data_dir or default_data_dir()).expanduser().absolute())
    place = _soon(lambda: _place(data_dir), named)
    config = _soon(lambda: configuration.load(config_file()), Config(path=config_file()))
    _soon(lambda: log_to_file(debug=debug), None)
    return _over(place, config).doctor


def _soon(find: Callable[[], T], otherwise: T) -> T:
    """What `find` answers, or `otherwise` if it fails, or has not answered within a moment."""
    found: list[T] = []

    def finding() -> None:
        with suppress(ConfigError, OSError):
            found.append(find())

    thread = threading.Thread(target=finding, name="soon", daemon=True)
    thread.start()
    thread.join(_SOON)
    return found[0] if found else otherwise


def build_demo_relay(data_dir: Path, config: Config) -> Relay:
    """relay over a data dir that is thrown away, with a configuration of its own. Raises FileSystemError."""
    place = DataDir(data_dir)
    place.prepare()
    return _over(place, config)


def _place(data_dir: Path | None) -> DataDir:
    """Resolved: whatever link leads to it, it is one data dir, and containers carry its one name."""
    return DataDir((data_dir or default_data_dir()).expanduser().resolve())


def _over(place: DataDir, config: Config) -> Relay:
    """Everything that the first paint needs; the rest stands ready to be made."""
    bus = EventBus()
    store = TinyDBStore(place.store)
    git = _later(_git)
    look = _later(_look)
    files = DataFiles(place)
    locks = OperationLocks(FileLocks(place.locks))
    engine = _later(lambda: _engine(place))
    processes = _later(lambda: _processes(place))
    runtime = RuntimeRouter(
        docker=engine, process=processes
    )  # known by its class, as nothing that stands for it would be
    way_out = _later(lambda: _way_out(place))
    unsaved = PendingUpdates(files=files, bus=bus)
    over = ServiceFactory(place, config, bus, store, git, look, way_out, files, locks, runtime)
    sessions = _later(over.sessions)
    projects = _later(lambda: over.projects(sessions))
    outward = _later(over.outward)
    trash = _later(over.trash)
    reconciler = _later(lambda: over.reconciler(projects, sessions))
    return Relay(
        config=config,
        data_dir=place,
        bus=bus,
        store=store,
        git=git,
        runtime=runtime,
        files=files,
        projects=projects,
        sessions=sessions,
        facts=CloneStatusService(store=store, files=files, look=look, bus=bus, data_dir=place),
        outward=outward,
        removal=_later(lambda: over.removal(sessions, outward, trash)),
        jobs=JobRunner(bus),
        engine=RuntimeMonitor(runtime=engine, store=store, sessions=sessions, locks=locks, bus=bus, unsaved=unsaved),
        processes=RuntimeMonitor(
            runtime=processes, store=store, sessions=sessions, locks=locks, bus=bus, unsaved=unsaved, kind=PROCESS
        ),
        unsaved=unsaved,
        reconciler=reconciler,
        doctor=_later(lambda: _doctor(place, config, store, reconciler, sessions, look)),
        trash=trash,
        strays=over.strays(projects, sessions),
    )


def _git() -> GitAdapter:
    from relay_tui.adapters.git import GitAdapter

    return GitAdapter()


def _look() -> GitInspector:
    from relay_tui.adapters.git.inspection.adapter import GitInspector

    return GitInspector()


def _way_out(place: DataDir) -> GitTransferAdapter:
    from relay_tui.adapters.git.transfer import GitTransferAdapter

    return GitTransferAdapter(place.tmp)


def _engine(place: DataDir) -> DockerRuntime:
    from relay_tui.adapters.docker import DockerRuntime

    return DockerRuntime(place.root, place.cache)


def _processes(place: DataDir) -> ProcessRuntime:
    from relay_tui.adapters.process.runtime import ProcessRuntime

    return ProcessRuntime(place)


def _doctor(
    place: DataDir,
    config: Config,
    store: TinyDBStore,
    reconciler: Reconciler,
    sessions: SessionService,
    look: GitInspector,
) -> Doctor:
    from relay_tui.adapters.host import LocalHost
    from relay_tui.services.doctor import Doctor
    from relay_tui.services.sessions.drafts import NewSession

    return Doctor(
        machine=LocalHost(place),
        store=store,
        place=place,
        config=config,
        plan=reconciler.plan,
        unseen=lambda: reconciler.unseen,
        choose=lambda project, records, ask: sessions.choose_runtime(NewSession(project=project), records, ask),
        confinement=lambda: look.confinement(),
    )


class LazyProxy:
    """Stands for what its first use imports and makes: the first paint needs none of it."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._made: object = None
        self._lock = threading.Lock()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Its kind, for whoever asks with isinstance()."""
        return type(self._there())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._there(), name)

    def _there(self) -> object:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made


def _later(make: Callable[[], T]) -> T:
    return cast("T", LazyProxy(make))
