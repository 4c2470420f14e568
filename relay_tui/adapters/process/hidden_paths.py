"""Paths that a session's sandbox hides, found on this machine at each start, by name and by rule.

By name: every home, relay's data directory and the paths that relay_tui.sandbox_policy lists. By rule: the sockets
that a program listens on, and for root, who may read everything, the files that ordinary users may not read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from relay_tui import sandbox_policy

_UNIX_SOCKETS = Path("/proc/net/unix")
_PRIVATE = (("/etc", 99), ("/usr/local/etc", 99), ("/var", 1), ("/var/lib", 3), ("/var/cache", 3), ("/var/log", 3))
"""Where root's own files are looked for, and how deep."""
_FILES_DEEP = 2
"""How deep files are looked for below the others: further down the directories alone, of which there are few."""


@dataclass(frozen=True, slots=True)
class HiddenPaths:
    """Hidden real paths, none inside another: directories and files that are covered by empty ones."""

    directories: tuple[Path, ...]
    files: tuple[Path, ...]

    def holds(self, path: Path) -> bool:
        """Return whether the path is in a hidden directory."""
        return any(path.is_relative_to(place) for place in self.directories)

    def is_there(self) -> bool:
        """Return whether all paths still exist. A socket that vanished cannot be covered by a mount."""
        return all(_is_dir(path) for path in self.directories) and all(is_there(path) for path in self.files)


def find_hidden_paths(data_dir: Path, own: Sequence[Path]) -> HiddenPaths:
    """Return the paths to hide now. Paths below `own` belong to the session and stay visible."""
    places = (
        {Path(name) for name in sandbox_policy.ROOTS}
        | set(sandbox_policy.homes())
        | set(sandbox_policy.secrets_of_homes())
        | {data_dir}
    )
    places |= set(sandbox_policy.named_secrets())
    if os.getuid() == 0:
        places |= {Path(name) for name in (*sandbox_policy.SECRETS_OF_ROOT, *sandbox_policy.DIRECTORIES_OF_ROOT)}
        places |= set(Path("/etc/ssh").glob("ssh_host_*_key"))
        for name, depth in _PRIVATE:
            places |= set(private(name, depth))
    places |= set(_sockets(own))
    real = sorted(
        place
        for place in {place.resolve() for place in places if is_there(place)}
        if not sandbox_policy.is_system_path(place)
    )
    directories: list[Path] = []
    for place in real:  # outer ones come first
        if _is_dir(place) and not any(place.is_relative_to(other) for other in directories):
            directories.append(place)
    files = [p for p in real if not _is_dir(p) and not any(p.is_relative_to(other) for other in directories)]
    return HiddenPaths(tuple(directories), tuple(files))


def private(root: str, depth: int) -> Iterator[Path]:
    """Yield files and directories below a directory that only their owner and group may read."""
    try:
        entries = os.scandir(root)
    except OSError:
        return
    with entries:
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if not is_directory and (depth < _FILES_DEEP or not entry.is_file(follow_symlinks=False)):
                continue
            with suppress(OSError):
                mode = entry.stat(follow_symlinks=False).st_mode
                if not mode & stat.S_IROTH or (is_directory and not mode & stat.S_IXOTH):
                    yield Path(entry.path)
                elif is_directory and depth > 1:
                    yield from private(entry.path, depth - 1)


def _sockets(own: Sequence[Path]) -> Iterator[Path]:
    """Yield the engine's socket and every listening socket; the directory if it contains only sockets.

    A hidden directory also hides sockets that are created in it later.
    """
    from relay_tui.adapters.docker.connection import address

    for path in {*listening(), *address.sockets()}:
        with suppress(OSError, RuntimeError):
            real = path.resolve()
            if stat.S_ISSOCK(real.stat().st_mode) and not _within(real, own):
                yield real.parent if _only_sockets(real.parent) else real


def listening() -> Iterator[Path]:
    """Return the known paths of all sockets that the kernel lists."""
    nearby: dict[str, str] = {}
    for line in _lines():
        inode, name = (*line.split(None, 7)[6:], "", "")[:2]
        if name.startswith("/") and not name.startswith("/proc/"):
            yield Path(name)
        elif name and not name.startswith(("/", "@")):
            nearby[f"socket:[{inode}]"] = name
    if nearby:
        yield from _in_their_directories(nearby)


def _lines() -> list[str]:
    try:
        return _UNIX_SOCKETS.read_text(errors="surrogateescape").split("\n")[1:]
    except OSError:
        return []


def _in_their_directories(nearby: dict[str, str]) -> Iterator[Path]:
    """Yield sockets that are bound with a path relative to their owner's directory."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if name := nearby.get(str(descriptor.readlink()), ""):
                    yield (process / "cwd").readlink() / name


def _only_sockets(directory: Path) -> bool:
    """Return whether a directory contains only sockets and their owners' lock and pid files."""
    with os.scandir(directory) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if not stat.S_ISSOCK(mode) and not entry.name.endswith((".pid", ".lock")):
                return False
    return True


def _within(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Return whether the path is accessible. A path that relay cannot access is also closed to its sessions."""
    try:
        return path.exists()
    except (OSError, RuntimeError):
        return False
