"""git in repositories that only relay writes: base clones, and temporary repositories."""

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

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.git import process
from relay_tui.adapters.git.errors import git_error
from relay_tui.adapters.git.untrusted import sandbox
from relay_tui.domain.errors import GitError
from relay_tui.ports.task import TaskContext

STRICT = tuple(word for setting in process.STRICT_SETTINGS for word in ("-c", setting))
_LIMITS = """
[core]
	packedGitLimit = 1g
	packedGitWindowSize = 64m
	commitGraph = false
	multiPackIndex = false
[pack]
	threads = 1
"""
_MOST_SECONDS = 1800  # of processor time for a session's objects: no ordinary repository needs as much
_LOCK_INTERVAL = 0.05  # seconds between attempts to lock the heads


def isolated_environment(protocols: str = "none") -> dict[str, str]:
    """Return the environment for git without the user's configuration and with only these protocols (a:b:c)."""
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


def run_capture(git_dir: Path, *arguments: str, title: str) -> str:
    """Run a short git command and return its output. Raises GitError, titled `title`, if it fails."""
    outcome = process.run_git_capture(*STRICT, f"--git-dir={git_dir}", *arguments)
    if outcome.code:
        raise git_error(outcome, title)
    return outcome.stdout.decode(errors="surrogateescape")


def succeeds(git_dir: Path, *arguments: str) -> bool:
    """Return whether a git command exits with 0."""
    return process.run_git_capture(*STRICT, f"--git-dir={git_dir}", *arguments).code == 0


def run(git_dir: Path, *arguments: str, task: TaskContext, title: str, env: Mapping[str, str]) -> process.Outcome:
    """Run a long git command with progress. Raises GitError, titled `title`, if it fails, and CancelledError."""
    outcome = process.run_git((*STRICT, f"--git-dir={git_dir}", *arguments), task, env)
    if outcome.code:
        raise git_error(outcome, title)
    return outcome


def refs(git_dir: Path, *patterns: str) -> dict[str, str]:
    """Return ref → commit of the refs that match `patterns`."""
    listed = run_capture(
        git_dir,
        "for-each-ref",
        "--format=%(objectname) %(refname)",
        *patterns,
        title=f"Cannot read the refs in {git_dir}",
    )
    return {name: commit for commit, _, name in (line.partition(" ") for line in listed.splitlines())}


def delete_refs(git_dir: Path, *names: str) -> None:
    """Delete the refs that exist."""
    for name in refs(git_dir, *names):
        run_capture(git_dir, "update-ref", "-d", name, title=f"Cannot delete {name} in the base clone")


def existing_objects(git_dir: Path, names: Sequence[str]) -> set[str]:
    """Return which of these objects the repository has, packed or loose."""
    if not names:
        return set()
    output = cat_file(git_dir, "--batch-check=%(objectname)", "".join(f"{name}\n" for name in names).encode())
    return {line.decode() for line in output.splitlines() if not line.endswith(b" missing")}


def cat_file(git_dir: Path, option: str, names: bytes) -> bytes:
    """Return the output of `git cat-file` with `names` as its input. Raises GitError."""
    command = ("git", *STRICT, f"--git-dir={git_dir}", "cat-file", option)
    done = subprocess.run(command, cwd="/", env=isolated_environment(), input=names, capture_output=True, check=False)
    if done.returncode:
        raise GitError("Cannot read objects of the base clone", done.stderr.decode(errors="replace").strip())
    return done.stdout


def object_format(git_dir: Path) -> str:
    """Return the repository's hash function: sha1 or sha256."""
    return run_capture(git_dir, "rev-parse", "--show-object-format", title="Cannot read the base clone").strip()


def file_url(git_dir: Path) -> str:
    """Return a URL with which git fetches through its transfer protocol, so that it hashes each object."""
    return f"file://{quote(os.fsencode(git_dir))}"


@contextmanager
def scratch_directory(tmp: Path, session_id: str) -> Iterator[Path]:
    """Yield an empty directory below `tmp`, deleted after the block. The next reconcile deletes that of a killed relay.

    Raises FileSystemError, also for an OSError of the block.
    """
    path = tmp / f"{session_id}.partial-{secrets.token_hex(4)}"
    try:
        path.mkdir(mode=0o700)
        yield path
    except OSError as error:
        raise filesystem_error(error, f"Cannot write temporary files in {tmp}", path) from error
    finally:
        shutil.rmtree(path, ignore_errors=True)


def create_repository(path: Path, base: Path) -> None:
    """Create a bare repository without refs that borrows the objects of `base`. Raises GitError."""
    outcome = process.run_git_capture(
        "init", "--quiet", "--bare", "--template=", f"--object-format={object_format(base)}", "--", str(path)
    )
    if outcome.code:
        raise git_error(outcome, "Cannot create a temporary repository")
    alternates = path / "objects/info/alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_bytes(os.fsencode(base / "objects") + b"\n")
    with (path / "config").open("a") as config:  # upload-pack in this repository reads no other configuration
        config.write(_LIMITS)


def sandboxed(copy: Path, base: Path) -> process.Start:
    """Return a start function for git that can read only `copy` and write only `base`: the objects may be hostile."""

    def start(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
        assert not pass_fds
        try:
            started = sandbox.best_sandbox().start(command, env, sandbox.SandboxPaths((copy,), base))
        except OSError as error:
            raise GitError("Cannot start git", str(error), "Run relay doctor.") from error
        for pipe in (started.stdin, started.stdout):
            if pipe is not None:
                pipe.close()
        started.stdin = started.stdout = None
        with suppress(ProcessLookupError, PermissionError, ValueError):
            resource.prlimit(started.pid, resource.RLIMIT_AS, (sandbox.MEMORY, sandbox.MEMORY))
            resource.prlimit(started.pid, resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
        return started

    return start


def write_refs(path: Path, wanted: Mapping[str, str]) -> None:
    """Write the refs (name → commit) of a temporary repository."""
    lines = [f"{commit} {name}\n" for name, commit in sorted(wanted.items())]
    (path / "packed-refs").write_bytes("".join(["# pack-refs with: sorted\n", *lines]).encode(errors="surrogateescape"))


@contextmanager
def lock_heads(base: Path, task: TaskContext) -> Iterator[None]:
    """Lock the heads of a base clone within the block: of two git processes that write them, one would fail."""
    path = base / "relay.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise filesystem_error(error, "Cannot lock the base clone", path) from error
    pause = threading.Event()
    try:
        waited = False
        while not _locked(descriptor):
            if not waited:
                task.report("Waiting for another fetch of the project")
            waited = True
            task.raise_if_cancelled()
            pause.wait(_LOCK_INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
