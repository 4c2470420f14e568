"""Create base clones: bare, with every branch and tag."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.adapters.filesystem.atomic import atomic_directory
from relay_tui.adapters.git import process, refs
from relay_tui.adapters.git.credentials import provide_credentials, spellings
from relay_tui.adapters.git.errors import git_error, wants_login
from relay_tui.domain.errors import GitError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

if TYPE_CHECKING:
    from relay_tui.adapters.git.repository import BaseClone

_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "http.lowSpeedLimit=1000"),  # bytes per second
    *("-c", "http.lowSpeedTime=60"),  # seconds below that speed until git gives up
)


def clone_base(source: CloneSource, target: Path, task: TaskContext) -> str:
    """Clone `source` to `target`, set refspec and HEAD, return the default branch. A failure leaves nothing behind."""
    task.raise_if_cancelled()
    task.report("Connecting")
    with atomic_directory(target) as path:
        _fetch(source, path, task)
        task.raise_if_cancelled()
        return _configure(path)


def _fetch(source: CloneSource, path: Path, task: TaskContext) -> None:
    outcome: process.Outcome | None = None
    if source.username and not source.password:
        # The name is a token, or a user whose password a credential helper has. A helper needs only the host.
        outcome = _clone(CloneSource(source.url), path, task)
        if outcome.code and not wants_login(outcome):
            raise git_error(outcome, "Cannot clone the repository", spellings(source))
    if outcome is None or outcome.code:
        outcome = _clone(source, path, task)
    if outcome.code:
        raise git_error(outcome, "Cannot clone the repository", spellings(source))


def _clone(source: CloneSource, path: Path, task: TaskContext) -> process.Outcome:
    extra = {} if source.url.startswith(("http://", "https://")) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with provide_credentials(source) as credentials:
        clone = ("clone", "--bare", "--progress", "--no-local", "--template=", "--origin=origin", "--")
        return process.run_git(
            (*_OPTIONS, *credentials.options, *clone, source.url, str(path)),
            task,
            env,
            pass_fds=credentials.descriptors,
            begin=_start,
        )


def _start(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start git, and import GitPython while git connects: the next step needs it."""
    started = process.spawn_git(command, env, pass_fds)
    with suppress(ImportError):  # the import fails again where it is needed, and is reported there
        importlib.import_module("relay_tui.adapters.git.repository")
    return started


def _configure(path: Path) -> str:
    """Map every upstream branch to a branch here, now and at each fetch; point HEAD at the default branch."""
    with open_base(path, "Cannot set up the base clone") as repository:
        default = refs.default_head(repository)
        if not default:
            raise GitError(
                "The repository has no commits",
                "The repository was found, but it has no branch.",
                "Push a first commit to the repository, then try again.",
            )
        repository.git.config("--local", "remote.origin.fetch", "+refs/heads/*:refs/heads/*")
        if (path / "HEAD").read_text(errors="replace").strip() != f"ref: refs/heads/{default}":
            repository.git.symbolic_ref("HEAD", f"refs/heads/{default}")
    return default


def open_base(path: Path, title: str) -> AbstractContextManager[BaseClone]:
    """Open a base clone with GitPython for the duration of a block.

    Raises GitError if a command in the block fails. `title` is the error's title unless the cause is known.
    """
    process.require_git()  # importing GitPython fails without git
    from relay_tui.adapters.git.repository import open_repository

    return open_repository(path, title)


def origin(path: Path) -> str:
    """Return the URL that a base clone was cloned from; '' if it is not recorded."""
    process.require_git()
    with suppress(GitError), open_base(path, "Cannot read the base clone's origin") as repository:
        return str(repository.git.config("--local", "--get", "remote.origin.url"))
    return ""
