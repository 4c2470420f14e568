"""Base clones: bare, every head and tag, from anywhere."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.adapters.git import heads, process
from relay_tui.adapters.git.credentials import lend, spellings
from relay_tui.adapters.git.faults import translate, wants_login
from relay_tui.adapters.git.place import partial
from relay_tui.errors import GitError
from relay_tui.services.ports import Source
from relay_tui.services.watch import Watch

if TYPE_CHECKING:
    from relay_tui.adapters.git.repository import BaseClone

_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "http.lowSpeedLimit=1000"),  # bytes a second …
    *("-c", "http.lowSpeedTime=60"),  # … for a minute: the server is gone
)


def clone_base(source: Source, target: Path, watch: Watch) -> str:
    """Clone `source` to `target`, set its refspec and HEAD, answer the default branch. Leaves nothing when it fails."""
    watch.check()
    watch.stage("Connecting")
    with partial(target) as path:
        _fetch(source, path, watch)
        watch.check()
        return _settle(path)


def _fetch(source: Source, path: Path, watch: Watch) -> None:
    outcome: process.Outcome | None = None
    if source.username and not source.password:
        # Either a token, or a name whose password a helper of the user knows: a helper finds it by the host alone.
        outcome = _clone(Source(source.url), path, watch)
        if outcome.code and not wants_login(outcome):
            raise translate(outcome, "The repository cannot be cloned", spellings(source))
    if outcome is None or outcome.code:
        outcome = _clone(source, path, watch)
    if outcome.code:
        raise translate(outcome, "The repository cannot be cloned", spellings(source))


def _clone(source: Source, path: Path, watch: Watch) -> process.Outcome:
    extra = {} if source.url.startswith(("http://", "https://")) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with lend(source) as loan:
        clone = ("clone", "--bare", "--progress", "--no-local", "--template=", "--origin=origin", "--")
        return process.work(
            (*_OPTIONS, *loan.options, *clone, source.url, str(path)),
            watch,
            env,
            pass_fds=loan.descriptors,
            begin=_start,
        )


def _start(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start git, and import GitPython while git connects: what comes next needs it."""
    started = process.start(command, env, pass_fds)
    with suppress(ImportError):  # it fails again where it is needed, and is reported from there
        importlib.import_module("relay_tui.adapters.git.repository")
    return started


def _settle(path: Path) -> str:
    """Let every upstream head be a head here, now and at each fetch; point HEAD at the default branch."""
    with open_base(path, "The base clone cannot be set up") as repository:
        default = heads.default_head(repository)
        if not default:
            raise GitError(
                "The repository has no commits yet",
                "It was found, but it has no branch.",
                "Push a first commit to it, then try again.",
            )
        repository.git.config("--local", "remote.origin.fetch", "+refs/heads/*:refs/heads/*")
        if (path / "HEAD").read_text(errors="replace").strip() != f"ref: refs/heads/{default}":
            repository.git.symbolic_ref("HEAD", f"refs/heads/{default}")
    return default


def open_base(path: Path, title: str) -> AbstractContextManager[BaseClone]:
    """Open a base clone with GitPython for the length of a block.

    Raises GitError, titled `title` unless the cause is known, when a command in the block fails.
    """
    process.require_git()  # GitPython cannot even be imported without it
    from relay_tui.adapters.git.repository import open_repository

    return open_repository(path, title)


def origin(path: Path) -> str:
    """Where a base clone came from; '' if it does not say."""
    process.require_git()
    with suppress(GitError), open_base(path, "The base clone's origin cannot be read") as repository:
        return str(repository.git.config("--local", "--get", "remote.origin.url"))
    return ""
