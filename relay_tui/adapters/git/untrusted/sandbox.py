"""Sandbox for git while it reads a session's clone: Landlock, else bubblewrap, else none.

The session can replace files while git runs, after they were checked. Inside the sandbox git can read only the clone,
the base clone's objects and the system's programs, and write only the shadow repository.
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
"""Bytes of memory that git may allocate. Packs are mapped, so they do not count."""


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """Paths that git may access: directories to read, one directory to write."""

    read: tuple[Path, ...]
    write: Path


class Sandbox(Protocol):
    """Launcher for a program with limited access to the file system."""

    @property
    def description(self) -> str:
        """The mechanism, as text for the user."""
        ...

    def start(self, command: Sequence[str], env: Mapping[str, str], paths: SandboxPaths) -> subprocess.Popen[bytes]:
        """Start a program in `/`, in its own process session, with pipes for stdin, stdout, stderr. Raises OSError."""
        ...


class Landlock:
    """Landlock rules on a thread, which then starts the program: no Python code runs between fork and exec."""

    def __init__(self, version: int) -> None:
        self._version = version

    @property
    def description(self) -> str:
        """Landlock and its version."""
        return f"Landlock (version {self._version})"

    def start(self, command: Sequence[str], env: Mapping[str, str], paths: SandboxPaths) -> subprocess.Popen[bytes]:
        """Start a program restricted by a Landlock rule set."""
        allowed = dict.fromkeys(_programs(), landlock.READ_EXECUTE)
        allowed |= dict.fromkeys(_LOADER, landlock.READ_FILE)
        allowed[Path("/dev/urandom")] = landlock.READ_FILE  # git draws the names of temporary files from it
        allowed[Path("/dev/null")] = landlock.READ_FILE | landlock.WRITE_FILE
        allowed |= dict.fromkeys(paths.read, landlock.READ)
        allowed[paths.write] = landlock.EVERYTHING & ~landlock.EXECUTE
        ruleset = landlock.rules(allowed, self._version)
        started: list[subprocess.Popen[bytes] | OSError] = []

        def restrict_and_start() -> None:
            try:
                landlock.restrict_thread(ruleset)
                started.append(_popen(command, env))
            except OSError as error:
                started.append(error)

        thread = threading.Thread(target=restrict_and_start, name="landlock", daemon=True)
        try:
            thread.start()
            thread.join()
        finally:
            os.close(ruleset)
        if isinstance(started[0], OSError):
            raise started[0]
        return started[0]


class Bubblewrap:
    """Namespaces made by bubblewrap."""

    description = "bubblewrap"

    def start(self, command: Sequence[str], env: Mapping[str, str], paths: SandboxPaths) -> subprocess.Popen[bytes]:
        """Start a program with only the allowed paths mounted."""
        mounts: list[str] = []
        for path in (*_programs(), *_LOADER, *paths.read):
            mounts += ("--ro-bind-try", str(path), str(path))
        mounts += ("--bind", str(paths.write), str(paths.write), "--dev", "/dev", "--chdir", "/")
        wrapper = ("bwrap", "--unshare-all", "--die-with-parent", *mounts, "--")
        limits = ("prlimit", f"--data={MEMORY}", "--core=0", "--") if shutil.which("prlimit") else ()
        return _popen((*wrapper, *limits, *command), env)


class NoSandbox:
    """No restriction, for machines without Landlock and bubblewrap. The checks before git starts are the protection."""

    description = "none: neither Landlock nor bubblewrap works here"

    def start(self, command: Sequence[str], env: Mapping[str, str], paths: SandboxPaths) -> subprocess.Popen[bytes]:  # noqa: ARG002
        """Start a program without restriction."""
        return _popen(command, env)


@cache
def best_sandbox() -> Sandbox:
    """Return the strongest sandbox that works on this machine. Each candidate is tried once."""
    candidates: list[Sandbox] = []
    if version := landlock.abi():
        candidates.append(Landlock(version))
    if shutil.which("bwrap"):
        candidates.append(Bubblewrap())
    return next((candidate for candidate in candidates if _works(candidate)), NoSandbox())


def _works(candidate: Sandbox) -> bool:
    git = shutil.which("git") or "git"
    try:
        process = candidate.start((git, "version"), {"PATH": os.defpath}, SandboxPaths((), Path("/dev/null")))
        output, _ = process.communicate(timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0 and output.startswith(b"git version")


@cache
def _programs() -> tuple[Path, ...]:
    """Return the directories of programs and libraries, and git's own prefix if it is elsewhere."""
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
