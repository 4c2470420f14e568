"""git in repositories that relay alone writes: bases, and scratch ones for the length of a block."""

from __future__ import annotations

import fcntl
import os
import resource
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from relay_tui.adapters.git import process
from relay_tui.adapters.git.faults import from_os, translate
from relay_tui.adapters.git.look import confine
from relay_tui.errors import FileSystemError, GitError
from relay_tui.services.watch import Watch

STRICT = tuple(word for setting in process.STRICT_SETTINGS for word in ("-c", setting))
_MODEST = """
[core]
	packedGitLimit = 1g
	packedGitWindowSize = 64m
	commitGraph = false
	multiPackIndex = false
[pack]
	threads = 1
"""
_MOST_SECONDS = 1800  # of processor time for what a session wrote: nothing honest takes so long
_ALONE = 0.05  # seconds between looks whether another fetch of the base is over


def closed(protocols: str = "none") -> dict[str, str]:
    """The environment for git that needs neither the user's configuration nor the network."""
    return process.environment(
        protocols,
        {
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
        },
    )


def ask(git_dir: Path, *arguments: str, title: str) -> str:
    """What a short git command answers. Raises GitError, titled `title`, when it fails."""
    outcome = process.ask(*STRICT, f"--git-dir={git_dir}", *arguments)
    if outcome.code:
        raise translate(outcome, title)
    return outcome.stdout.decode(errors="surrogateescape")


def holds(git_dir: Path, *arguments: str) -> bool:
    """Whether a git command that answers by its exit code says yes."""
    return process.ask(*STRICT, f"--git-dir={git_dir}", *arguments).code == 0


def work(git_dir: Path, *arguments: str, watch: Watch, title: str, env: Mapping[str, str]) -> process.Outcome:
    """Run a long git command. Raises GitError, titled `title`, when it fails."""
    outcome = process.work((*STRICT, f"--git-dir={git_dir}", *arguments), watch, env)
    if outcome.code:
        raise translate(outcome, title)
    return outcome


def refs(git_dir: Path, *patterns: str) -> dict[str, str]:
    """Ref → commit, of the refs below `patterns`."""
    listed = ask(
        git_dir, "for-each-ref", "--format=%(objectname) %(refname)", *patterns, title="The base's refs cannot be read"
    )
    return {name: commit for commit, _, name in (line.partition(" ") for line in listed.splitlines())}


def forget(git_dir: Path, *names: str) -> None:
    """Delete refs; fine if they are not there."""
    for name in refs(git_dir, *names):
        ask(git_dir, "update-ref", "-d", name, title="A ref of the base cannot be deleted")


def present(git_dir: Path, names: Sequence[str]) -> set[str]:
    """Which of these objects are there, packed or not."""
    if not names:
        return set()
    told = cat(git_dir, "--batch-check=%(objectname)", "".join(f"{name}\n" for name in names).encode())
    return {line.decode() for line in told.splitlines() if not line.endswith(b" missing")}


def cat(git_dir: Path, how: str, names: bytes) -> bytes:
    """What `git cat-file` tells of objects. Raises GitError."""
    command = ("git", *STRICT, f"--git-dir={git_dir}", "cat-file", how)
    done = subprocess.run(command, cwd="/", env=closed(), input=names, capture_output=True, check=False)
    if done.returncode:
        raise GitError("The base's objects cannot be read", done.stderr.decode(errors="replace").strip())
    return done.stdout


def address(git_dir: Path) -> str:
    """The address under which git fetches from a directory by its own protocol, and hashes what comes."""
    return f"file://{quote(os.fsencode(git_dir))}"


@contextmanager
def scratch(tmp: Path, session_id: str) -> Iterator[Path]:
    """An empty directory below `tmp`, gone after the block. A killed relay's is cleared by the next reconcile."""
    path = tmp / f"{session_id}.partial-{secrets.token_hex(4)}"
    try:
        path.mkdir(mode=0o700)
        yield path
    except OSError as error:
        raise from_os(error) from error
    finally:
        shutil.rmtree(path, ignore_errors=True)


def make(path: Path, base: Path) -> None:
    """Make a bare repository that has the objects of `base`, and nothing else."""
    hash_name = ask(base, "rev-parse", "--show-object-format", title="The base clone cannot be read").strip()
    outcome = process.ask("init", "--quiet", "--bare", "--template=", f"--object-format={hash_name}", "--", str(path))
    if outcome.code:
        raise translate(outcome, "A scratch repository cannot be made")
    alternates = path / "objects/info/alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_bytes(os.fsencode(base / "objects") + b"\n")
    with (path / "config").open("a") as config:  # upload-pack, which runs in here, reads no other one
        config.write(_MODEST)


def within_walls(copy: Path, base: Path) -> process.Start:
    """Starts git where it can read nothing but `copy`, and write nothing but `base`: what it parses is hostile."""

    def begin(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
        assert not pass_fds
        try:
            started = confine.best().start(command, env, confine.Room((copy,), base))
        except OSError as error:
            raise GitError("git cannot be started", str(error), "Look at relay doctor.") from error
        for pipe in (started.stdin, started.stdout):
            if pipe is not None:
                pipe.close()
        started.stdin = started.stdout = None
        with suppress(ProcessLookupError, PermissionError, ValueError):
            resource.prlimit(started.pid, resource.RLIMIT_AS, (confine.MEMORY, confine.MEMORY))
            resource.prlimit(started.pid, resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
        return started

    return begin


def write_refs(path: Path, wanted: Mapping[str, str]) -> None:
    """Give a scratch repository its refs."""
    lines = [f"{commit} {name}\n" for name, commit in sorted(wanted.items())]
    (path / "packed-refs").write_bytes("".join(["# pack-refs with: sorted\n", *lines]).encode(errors="surrogateescape"))


@contextmanager
def alone(base: Path, watch: Watch) -> Iterator[None]:
    """Within the block no other relay writes the base's heads: git itself would fail where two meet."""
    try:
        descriptor = os.open(base / "relay.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FileSystemError("The base clone cannot be written", str(error), "Look at its directory.") from error
    pause = threading.Event()
    try:
        waited = False
        while not _locked(descriptor):
            if not waited:
                watch.stage("Waiting for another fetch of the project")
            waited = True
            watch.check()
            pause.wait(_ALONE)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
