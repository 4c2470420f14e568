"""Where relay keeps things: the data dir, its disk, the configuration, the store, the locks, what nobody knows."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from relay_tui import config as configuration
from relay_tui.domain.errors import ConfigError, FileSystemError, NotFoundError
from relay_tui.domain.models import Records
from relay_tui.paths import DataDir
from relay_tui.ports import Store
from relay_tui.ports.host import Host
from relay_tui.services.doctor.results import CheckResult, broken, ok, unknown, warning
from relay_tui.services.reconcile.planner import ASKS, Step, StepKind
from relay_tui.text.format import format_size

_FULL = 64 << 20
"""Bytes: less free is too little for a clone of anything."""
_SHORT = 2 << 30
"""Bytes: with less free a few sessions more may be too many."""
_LONG_HELD = 3600.0
"""Seconds that no clone, pull or removal takes."""


def data_dir(machine: Host, place: DataDir) -> CheckResult:
    """Whether relay can use its directory, and nobody else."""
    name, root = "data dir", place.root
    elsewhere = "Choose another with --data-dir or $RELAY_DATA_DIR"
    try:
        ground = machine.filesystem_info(root)
    except NotFoundError:
        return _not_made_yet(machine, root)
    if not ground.mine:
        return broken(name, f"{root} belongs to another user", f"sudo chown -R $USER {_quoted(root)}")
    try:
        machine.try_writing(root)
    except FileSystemError as error:
        return broken(name, f"{error.title}: {error.detail}", error.hint or elsewhere)
    if ground.mode & 0o077:
        return broken(name, f"{root} is open to other users (mode {ground.mode:04o})", f"chmod 700 {_quoted(root)}")
    found = f"{root}, {ground.kind}, yours alone"
    if ground.network:
        return warning(name, f"{found}, but on another machine: locks and speed depend on it", elsewhere)
    if ground.kind in {"tmpfs", "ramfs"}:
        return warning(name, f"{found}, but in memory: gone when the machine restarts", elsewhere)
    return ok(name, found)


def _not_made_yet(machine: Host, root: Path) -> CheckResult:
    parent = next(path for path in root.parents if path.is_dir())
    try:
        machine.try_writing(parent)
    except FileSystemError as error:
        elsewhere = "Choose another with --data-dir or $RELAY_DATA_DIR"
        return broken("data dir", f"{root} is not there and cannot be made: {error.detail}", error.hint or elsewhere)
    return ok("data dir", f"{root} is not there yet; relay makes it")


def disk(machine: Host, place: DataDir) -> CheckResult:
    """How much room there is for more clones."""
    root = place.root
    ground = machine.filesystem_info(next(path for path in (root, *root.parents) if path.is_dir()))
    found = f"{format_size(ground.free)} free of {format_size(ground.total)}"
    if ground.free < _FULL:
        return broken("disk", f"{found}: too little for a clone", "relay purge --older-than 0")
    if ground.free < _SHORT or ground.free < ground.total * 0.03:
        return warning("disk", f"{found}: it is getting full", "relay purge --older-than 0")
    return ok("disk", found)


def config(path: Path) -> CheckResult:
    """Whether config.toml says only what relay understands."""
    try:
        found = configuration.load(path)
    except ConfigError as error:
        said = f" ({error.detail})" if error.detail else ""
        return broken("config", f"{error.title}{said}", _config_mend(path))
    if not path.exists():
        return ok("config", f"{path} is not there: the defaults hold")
    count = len(found.profiles)
    return ok("config", f"{path}, {count} profile{'' if count == 1 else 's'}")


def _config_mend(path: Path) -> str:
    return (
        f"${{EDITOR:-vi}} {_quoted(path)}" if path.is_file() and os.access(path, os.R_OK) else f"ls -l {_quoted(path)}"
    )


def store(store: Store, place: DataDir) -> CheckResult:
    """Whether the records can be read, all of them."""
    records = store.read()  # a StoreError is told by whoever runs the check
    if words := store.warning():
        return warning("store", words, f"ls {_quoted(place.store)}*   # what was set aside lies there")
    projects, sessions = len(records.live_projects()), len(records.live_sessions())
    aside = len(list(place.root.glob(f"{place.store.name}.corrupt-*"))) if place.root.is_dir() else 0
    more = f"; {aside} damaged {'copy' if aside == 1 else 'copies'} set aside earlier" if aside else ""
    return ok("store", f"{_many(projects, 'project')}, {_many(sessions, 'session')}, every row readable{more}")


def locks(machine: Host, records: Records) -> CheckResult:
    """Who is at work, and whether someone has been for too long."""
    held = machine.held()
    if not held:
        return ok("locks", "Nobody is at work")
    listed = "; ".join(f"{_called(lock.key, records)}: {lock.words}, for {_long(lock.seconds)}" for lock in held)
    stopped = next((lock for lock in held if lock.stopped), None)
    if stopped is not None:
        return broken("locks", f"Held by a process that is stopped: {listed}", f"kill -CONT {stopped.pid}")
    stuck = next((lock for lock in held if lock.seconds > _LONG_HELD), None)
    if stuck is not None:
        return warning("locks", f"Held for very long: {listed}", f"kill {stuck.pid}   # if it does nothing")
    return ok("locks", listed)


def orphans(plan: Callable[[], Sequence[Step]], unseen: Callable[[], Collection[str]]) -> CheckResult:
    """What is on disk or in the engine, and on no record; what a killed relay left to do."""
    steps = plan()
    strays = [step for step in steps if step.act in ASKS]
    due = [step for step in steps if step.act not in ASKS]
    if strays:
        containers = sum(step.act is StepKind.UNKNOWN_CONTAINER for step in strays)
        kinds = [_many(containers, "container"), _many(len(strays) - containers, "clone")]
        found = f"{' and '.join(kind for kind in kinds if kind[0] != '0')} that no record knows: {strays[0].words}"
        return warning("orphans", found, "relay reconcile --adopt-unknown, or --trash-unknown")
    if due:
        words = "; ".join(step.words for step in due[:3]) + ("; …" if len(due) > 3 else "")
        return warning("orphans", f"{_many(len(due), 'step')} left to do: {words}", "relay reconcile")
    if unseen():
        return unknown("orphans", "the engine does not answer, and there are sessions in it")
    return ok("orphans", "Records, clones and containers agree")


def _called(key: str, records: Records) -> str:
    """What a person calls the holder of a lock's id."""
    session = records.sessions.get(key)
    project = records.projects.get(session.project_id if session else key)
    return "/".join(record.name for record in (project, session) if record) or key


def _long(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
