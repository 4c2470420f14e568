"""Checks of the data directory, its disk, the configuration, the store, the locks, and orphans."""

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

_MIN_FREE = 64 << 20
"""Bytes: with less free space, no clone fits."""
_LOW_FREE = 2 << 30
"""Bytes: with less free space, a few more sessions may not fit."""
_MAX_LOCK_SECONDS = 3600.0
"""Seconds: longer than any clone, pull or removal takes."""
_CHOOSE_DATA_DIR = "Choose another with --data-dir or $RELAY_DATA_DIR"


def check_data_dir(host: Host, data_dir: DataDir) -> CheckResult:
    """Check that the data directory can be written and only its owner can read it."""
    name, root = "data dir", data_dir.root
    try:
        info = host.filesystem_info(root)
    except NotFoundError:
        return _check_parent(host, root)
    if not info.mine:
        return broken(name, f"{root} belongs to another user", f"sudo chown -R $USER {_quoted(root)}")
    try:
        host.try_writing(root)
    except FileSystemError as error:
        return broken(name, f"{error.title}: {error.detail}", error.hint or _CHOOSE_DATA_DIR)
    if info.mode & 0o077:
        return broken(name, f"{root} is open to other users (mode {info.mode:04o})", f"chmod 700 {_quoted(root)}")
    found = f"{root}, {info.kind}, only yours"
    if info.network:
        return warning(name, f"{found}, but on another machine: locks and speed depend on it", _CHOOSE_DATA_DIR)
    if info.kind in {"tmpfs", "ramfs"}:
        return warning(name, f"{found}, but in memory: lost when the machine restarts", _CHOOSE_DATA_DIR)
    return ok(name, found)


def _check_parent(host: Host, root: Path) -> CheckResult:
    """Check that a data directory that does not exist can be created."""
    parent = next(path for path in root.parents if path.is_dir())
    try:
        host.try_writing(parent)
    except FileSystemError as error:
        return broken(
            "data dir", f"{root} does not exist and cannot be created: {error.detail}", error.hint or _CHOOSE_DATA_DIR
        )
    return ok("data dir", f"{root} does not exist yet; relay creates it")


def check_disk(host: Host, data_dir: DataDir) -> CheckResult:
    """Check the free space for more clones."""
    root = data_dir.root
    info = host.filesystem_info(next(path for path in (root, *root.parents) if path.is_dir()))
    found = f"{format_size(info.free)} free of {format_size(info.total)}"
    if info.free < _MIN_FREE:
        return broken("disk", f"{found}: too little for a clone", "relay purge --older-than 0")
    if info.free < _LOW_FREE or info.free < info.total * 0.03:
        return warning("disk", f"{found}: the disk is getting full", "relay purge --older-than 0")
    return ok("disk", found)


def check_config(path: Path) -> CheckResult:
    """Check that config.toml is valid."""
    try:
        found = configuration.load(path)
    except ConfigError as error:
        detail = f" ({error.detail})" if error.detail else ""
        return broken("config", f"{error.title}{detail}", _config_fix(path))
    if not path.exists():
        return ok("config", f"{path} does not exist: defaults are used")
    count = len(found.profiles)
    return ok("config", f"{path}, {count} profile{'' if count == 1 else 's'}")


def _config_fix(path: Path) -> str:
    return (
        f"${{EDITOR:-vi}} {_quoted(path)}" if path.is_file() and os.access(path, os.R_OK) else f"ls -l {_quoted(path)}"
    )


def check_store(store: Store, data_dir: DataDir) -> CheckResult:
    """Check that all records can be read."""
    records = store.read()  # the runner of the checks reports a StoreError
    if message := store.warning():
        return warning("store", message, f"ls {_quoted(data_dir.store)}*   # shows the damaged copy")
    projects, sessions = len(records.live_projects()), len(records.live_sessions())
    damaged = len(list(data_dir.root.glob(f"{data_dir.store.name}.corrupt-*"))) if data_dir.root.is_dir() else 0
    more = f"; {damaged} damaged {'copy' if damaged == 1 else 'copies'} kept from earlier" if damaged else ""
    return ok(
        "store", f"{_format_count(projects, 'project')}, {_format_count(sessions, 'session')}, every row readable{more}"
    )


def check_locks(host: Host, records: Records) -> CheckResult:
    """Check that no lock is held by a stopped process, or for too long."""
    held = host.held()
    if not held:
        return ok("locks", "No operation is running")
    listed = "; ".join(
        f"{_lock_name(lock.key, records)}: {lock.holder}, for {_format_duration(lock.seconds)}" for lock in held
    )
    stopped = next((lock for lock in held if lock.stopped), None)
    if stopped is not None:
        return broken("locks", f"Held by a stopped process: {listed}", f"kill -CONT {stopped.pid}")
    stuck = next((lock for lock in held if lock.seconds > _MAX_LOCK_SECONDS), None)
    if stuck is not None:
        return warning("locks", f"Held for very long: {listed}", f"kill {stuck.pid}   # if it does nothing")
    return ok("locks", listed)


def check_orphans(plan: Callable[[], Sequence[Step]], unreachable: Callable[[], Collection[str]]) -> CheckResult:
    """Check for clones and containers without a record, and for unfinished work of a killed relay."""
    steps = plan()
    found_orphans = [step for step in steps if step.act in ASKS]
    due = [step for step in steps if step.act not in ASKS]
    if found_orphans:
        containers = sum(step.act is StepKind.UNKNOWN_CONTAINER for step in found_orphans)
        kinds = [_format_count(containers, "container"), _format_count(len(found_orphans) - containers, "clone")]
        found = f"{' and '.join(kind for kind in kinds if kind[0] != '0')} without a record: {found_orphans[0].words}"
        return warning("orphans", found, "relay reconcile --adopt-unknown, or --trash-unknown")
    if due:
        listed = "; ".join(step.words for step in due[:3]) + ("; …" if len(due) > 3 else "")
        return warning("orphans", f"{_format_count(len(due), 'step')} left to do: {listed}", "relay reconcile")
    if unreachable():
        return unknown("orphans", "the engine does not answer, and there are sessions in it")
    return ok("orphans", "Records, clones and containers agree")


def _lock_name(key: str, records: Records) -> str:
    """Return the name of the session or project that a lock is for."""
    session = records.sessions.get(key)
    project = records.projects.get(session.project_id if session else key)
    return "/".join(record.name for record in (project, session) if record) or key


def _format_duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
