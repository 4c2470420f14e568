"""Walls around git while it looks at a session's clone: Landlock, else bubblewrap, else none.

What was checked before git starts can be exchanged while it runs. Within the walls it can still read nothing but the
clone, the base's objects and the programs of the system, and write nothing but the eye.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from relay_tui.adapters.linux import landlock

_PROGRAMS = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")))
_LOADER = (Path("/etc/ld.so.cache"),)
MEMORY = 1 << 30
"""Bytes that git may fill; packs, which it only maps, do not count."""


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """What git may touch: directories to read, one to write."""

    read: tuple[Path, ...]
    write: Path


class Sandbox(Protocol):
    """Starts a program within walls."""

    @property
    def words(self) -> str:
        """What the walls are made of, for a person."""
        ...

    def start(self, command: Sequence[str], env: Mapping[str, str], room: SandboxPaths) -> subprocess.Popen[bytes]:
        """Start it in `/`, in a session of its own, with pipes for stdin, stdout and stderr. Raises OSError."""
        ...


class Landlock:
    """By a thread that restricts itself and then starts the program: no code of ours runs between fork and exec."""

    def __init__(self, version: int) -> None:
        self._version = version

    @property
    def words(self) -> str:
        """Landlock and its version."""
        return f"Landlock (version {self._version})"

    def start(self, command: Sequence[str], env: Mapping[str, str], room: SandboxPaths) -> subprocess.Popen[bytes]:
        """Start it within a rule set."""
        allowed = dict.fromkeys(_programs(), landlock.READ_EXECUTE)
        allowed |= dict.fromkeys(_LOADER, landlock.READ_FILE)
        allowed[Path("/dev/urandom")] = landlock.READ_FILE  # git's names for temporary files
        allowed[Path("/dev/null")] = landlock.READ_FILE | landlock.WRITE_FILE
        allowed |= dict.fromkeys(room.read, landlock.READ)
        allowed[room.write] = landlock.EVERYTHING & ~landlock.EXECUTE
        ruleset = landlock.rules(allowed, self._version)
        started: list[subprocess.Popen[bytes] | OSError] = []

        def begin() -> None:
            try:
                landlock.restrict_thread(ruleset)
                started.append(_popen(command, env))
            except OSError as error:
                started.append(error)

        thread = threading.Thread(target=begin, name="landlock", daemon=True)
        try:
            thread.start()
            thread.join()
        finally:
            os.close(ruleset)
        if isinstance(started[0], OSError):
            raise started[0]
        return started[0]


class Bubblewrap:
    """By bubblewrap, in namespaces of its own."""

    words = "bubblewrap"

    def start(self, command: Sequence[str], env: Mapping[str, str], room: SandboxPaths) -> subprocess.Popen[bytes]:
        """Start it in a sandbox that holds nothing but what it may touch."""
        mounts: list[str] = []
        for path in (*_programs(), *_LOADER, *room.read):
            mounts += ("--ro-bind-try", str(path), str(path))
        mounts += ("--bind", str(room.write), str(room.write), "--dev", "/dev", "--chdir", "/")
        walls = ("bwrap", "--unshare-all", "--die-with-parent", *mounts, "--")
        limits = ("prlimit", f"--data={MEMORY}", "--core=0", "--") if shutil.which("prlimit") else ()
        return _popen((*walls, *limits, *command), env)


class NoSandbox:
    """Where there is neither: what was checked before must do."""

    words = "none: neither Landlock nor bubblewrap works here"

    def start(self, command: Sequence[str], env: Mapping[str, str], room: SandboxPaths) -> subprocess.Popen[bytes]:  # noqa: ARG002
        """Start it as it is."""
        return _popen(command, env)


@cache
def best_sandbox() -> Sandbox:
    """The strongest walls that work here, tried out once."""
    candidates: list[Sandbox] = []
    if version := landlock.abi():
        candidates.append(Landlock(version))
    if shutil.which("bwrap"):
        candidates.append(Bubblewrap())
    return next((walls for walls in candidates if _works(walls)), NoSandbox())


def _works(walls: Sandbox) -> bool:
    git = shutil.which("git") or "git"
    try:
        process = walls.start((git, "version"), {"PATH": os.defpath}, SandboxPaths((), Path("/dev/null")))
        said, _ = process.communicate(timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0 and said.startswith(b"git version")


@cache
def _programs() -> tuple[Path, ...]:
    """Where programs and their libraries lie, and git if it lies elsewhere."""
    found = tuple(path for path in _PROGRAMS if path.exists())
    git = Path(os.path.realpath(shutil.which("git") or "/usr/bin/git"))
    return found if any(git.is_relative_to(path) for path in found) else (*found, git.parent.parent)


def _popen(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd="/",
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )
