"""Kills an operation at its k-th call through a port, lets a new process reconcile, and looks whether all is well.

Everything is real but the engine: its containers are kept in a file, so that they outlive the killed process.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relay_tui.adapters.files import DataFiles
from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.locks import FileLocks
from relay_tui.adapters.store import TinyStore
from relay_tui.config import Config
from relay_tui.errors import NotFoundError
from relay_tui.events import Bus
from relay_tui.model import CloneState, Desired, SessionState, new_id
from relay_tui.paths import DataDir
from relay_tui.services.claims import Claims
from relay_tui.services.plan import ASKS
from relay_tui.services.ports import ContainerSpec, LogStream, Observed, Transaction
from relay_tui.services.projects import Projects
from relay_tui.services.reconcile import Reconciler
from relay_tui.services.sessions import Sessions
from relay_tui.services.trash import Trash
from relay_tui.services.watch import Watch

KILLED = 137
MARKER = "unsaved-work.txt"


class FileRuntime:
    """An engine whose containers are a JSON file. One process uses it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _all(self) -> dict[str, Observed]:
        if not self._path.exists():
            return {}
        return {key: Observed(**value) for key, value in json.loads(self._path.read_text()).items()}

    def _put(self, containers: dict[str, Observed]) -> None:
        staged = self._path.with_suffix(".tmp")
        staged.write_text(json.dumps({key: asdict(value) for key, value in containers.items()}))
        staged.replace(self._path)

    def _set(self, container_id: str, status: str, exit_code: int | None) -> None:
        containers = self._all()
        seen = self.inspect(container_id)
        containers[container_id] = Observed(container_id, seen.session_id, seen.project_id, status, exit_code)
        self._put(containers)

    def create(self, spec: ContainerSpec, _watch: Watch) -> str:
        session_id = spec.labels["relay.session"]
        kept = {key: value for key, value in self._all().items() if value.session_id != session_id}
        container_id = f"c{new_id()}"
        kept[container_id] = Observed(container_id, session_id, spec.labels["relay.project"], "created")
        self._put(kept)
        return container_id

    def start(self, container_id: str) -> None:
        self._set(container_id, "running", None)

    def stop(self, container_id: str) -> None:
        self._set(container_id, "exited", 143)

    def remove(self, container_id: str) -> None:
        self._put({key: value for key, value in self._all().items() if key != container_id})

    def inspect(self, container_id: str) -> Observed:
        try:
            return self._all()[container_id]
        except KeyError as error:
            raise NotFoundError("No such container", container_id) from error

    def wait(self, container_id: str, _seconds: float) -> Observed:
        return self.inspect(container_id)

    def observe(self) -> list[Observed]:
        return list(self._all().values())

    def logs(self, container_id: str, **_: object) -> LogStream:
        raise NotFoundError("No log", container_id)

    def delete_tree(self, path: Path, _image: str) -> None:
        raise AssertionError(f"{path} should have been deletable")


class Fuse:
    """Counts calls through ports, and ends the process at the chosen one."""

    def __init__(self, burn_at: int) -> None:
        self._left = burn_at
        self._lock = threading.Lock()

    def tick(self) -> None:
        """One more call; perhaps the last."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os._exit(KILLED)


class Fused:
    """A port, each of whose calls ticks before it begins and after it has ended."""

    def __init__(self, port: object, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  it stands in for any port
        method = getattr(self._port, name)
        if name in {"transaction", "hold"}:
            return lambda *args: self._block(method(*args))

        def call(*args: object, **kwargs: object) -> object:
            self._fuse.tick()
            result = method(*args, **kwargs)
            self._fuse.tick()
            return result

        return call

    @contextmanager
    def _block(self, manager: Any) -> Iterator[Transaction]:  # noqa: ANN401
        self._fuse.tick()
        with manager as value:
            yield value
            self._fuse.tick()
        self._fuse.tick()


@dataclass(frozen=True)
class Rig:
    """The services over one data dir."""

    place: DataDir
    store: TinyStore
    files: DataFiles
    runtime: FileRuntime
    projects: Projects
    sessions: Sessions
    reconciler: Reconciler
    trash: Trash


def rig(root: Path, burn_at: int = 0) -> Rig:
    """Services over `root`; with `burn_at` the process dies at that call through a port."""
    place, fuse = DataDir(root), Fuse(burn_at)
    place.prepare()

    def port(real: object) -> Any:  # noqa: ANN401
        return Fused(real, fuse) if burn_at else real

    config, bus = Config(path=root / "config.toml", image="image"), Bus()
    store, files, git = port(TinyStore(place.store)), port(DataFiles(place)), port(GitAdapter())
    runtime, locks = port(FileRuntime(root / "engine.json")), Claims(port(FileLocks(place.locks)))
    common: dict[str, Any] = {"store": store, "files": files, "locks": locks, "bus": bus}
    sessions = Sessions(**common, git=git, runtime=runtime, config=config, data_dir=place)
    projects = Projects(**common, git=git, config=config, data_dir=place, sessions=sessions)
    reconciler = Reconciler(**common, runtime=runtime, projects=projects, sessions=sessions)
    trash = Trash(**common, runtime=runtime, config=config)
    return Rig(place, store, files, runtime, projects, sessions, reconciler, trash)


def in_child(work: Callable[[], object]) -> int:
    """Do `work` in a process of its own; answer its exit code (1 with a traceback when it raised)."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def reset(template: Path, root: Path) -> None:
    """Make `root` what `template` is."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, symlinks=True)


def check(root: Path, markers: Sequence[str]) -> None:
    """Reconcile in this, a new process; then every invariant holds, and there is nothing more to do."""
    present = rig(root)
    failures = [(step, error) for step, error in present.reconciler.carry_out_all(Watch()) if error]
    assert not failures, failures
    again = present.reconciler.plan()
    assert not again, again
    records, disk = present.store.read(), present.files.survey()
    assert not disk.partials
    assert not {step.act for step in again} & ASKS
    containers = {seen.session_id: seen for seen in present.runtime.observe()}
    assert len(containers) == len(present.runtime.observe()), "a session has two containers"
    live = {session.id: session for session in records.live_sessions()}
    assert set(disk.clones) == set(live)
    assert set(containers) <= set(live)
    for session in live.values():
        seen = containers.get(session.id)
        running = seen is not None and seen.status == "running" and seen.container_id == session.container_id
        assert running == (session.desired is Desired.RUNNING), session
        assert session.state == (SessionState.RUNNING if running else SessionState.STOPPED)
    for project in records.live_projects():
        assert project.clone_state is CloneState.READY
        assert project.desired is Desired.RUNNING
        assert records.live_sessions(project.id), "a ready project without a session"
    assert disk.bases == {project.id for project in records.live_projects()}
    found = {path.read_text() for path in root.rglob(MARKER)}
    assert found >= set(markers), f"lost: {set(markers) - found}"
