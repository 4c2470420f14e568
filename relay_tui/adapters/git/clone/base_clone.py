"""Base clones: bare, every head and tag, from anywhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import atomic_directory
from relay_tui.adapters.git import process, refs
from relay_tui.adapters.git.credentials import provide_credentials, spellings
from relay_tui.adapters.git.errors import git_error, wants_login
from relay_tui.domain.errors import GitError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "http.lowSpeedLimit=1000"),  # bytes a second …
    *("-c", "http.lowSpeedTime=60"),  # … for a minute: the server is gone
)


def clone_base(source: CloneSource, target: Path, task: TaskContext) -> str:
    """Clone `source` to `target`, set its refspec and HEAD, answer the default branch. Leaves nothing when it fails."""
    task.raise_if_cancelled()
    task.report("Connecting")
    with atomic_directory(target) as path:
        _fetch(source, path, task)
        task.raise_if_cancelled()
        return _settle(path)


def _fetch(source: CloneSource, path: Path, task: TaskContext) -> None:
    outcome: process.Outcome | None = None
    if source.username and not source.password:
        # Either a token, or a name whose password a helper of the user knows: a helper finds it by the host alone.
        outcome = _clone(CloneSource(source.url), path, task)
        if outcome.code and not wants_login(outcome):
            raise git_error(outcome, "The repository cannot be cloned", spellings(source))
    if outcome is None or outcome.code:
        outcome = _clone(source, path, task)
    if outcome.code:
        raise git_error(outcome, "The repository cannot be cloned", spellings(source))


def _clone(source: CloneSource, path: Path, task: TaskContext) -> process.Outcome:
    extra = {} if source.url.startswith(("http://", "https://")) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with provide_credentials(source) as loan:
        clone = ("clone", "--bare", "--progress", "--no-local", "--template=", "--origin=origin", "--")
        return process.run_git(
            (*_OPTIONS, *loan.options, *clone, source.url, str(path)),
            task,
            env,
            pass_fds=loan.descriptors,
            begin=_start,
        )


def _start(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start git through GitPython, which adds the caller's environment: what is not in `env` is taken out again."""
    import git

    unwanted = [option for name in os.environ if name not in env for option in ("-u", name)]
    interrupting = git.Git("/").execute(
        ["env", *unwanted, *command] if unwanted else list(command),
        as_process=True,
        with_stdout=False,
        env=env,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    started = interrupting.proc
    assert started is not None
    interrupting.proc = None  # its end is ours to see to, by the whole group
    return started


def _settle(path: Path) -> str:
    """Let every upstream head be a head here, now and at each fetch; point HEAD at the default branch."""
    import git

    default = refs.default_head(path)
    if not default:
        raise GitError(
            "The repository has no commits yet",
            "It was found, but it has no branch.",
            "Push a first commit to it, then try again.",
        )
    with git.GitConfigParser(str(path / "config"), read_only=False) as config:
        config.set_value('remote "origin"', "fetch", "+refs/heads/*:refs/heads/*")
    if (path / "HEAD").read_text(errors="replace").strip() != f"ref: refs/heads/{default}":
        outcome = process.run_git_capture(f"--git-dir={path}", "symbolic-ref", "HEAD", f"refs/heads/{default}")
        if outcome.code:
            raise git_error(outcome, "The default branch cannot be set")
    return default
