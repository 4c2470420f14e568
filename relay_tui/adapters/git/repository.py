"""Base clones through GitPython, which composes the commands that relay runs.

GitPython takes 100 ms to import. So this module is imported where a base clone is made or adopted, and not for a new
session, a fetch or a push. A session's clone is never opened with GitPython, which runs what is planted there.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import git

from relay_tui.adapters.git import process
from relay_tui.adapters.git.faults import translate
from relay_tui.adapters.git.process import Outcome

_CALLERS = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE")
"""Variables that name the repository whose hook or alias has called relay."""


class CommandFailedError(git.GitCommandError):
    """A git command on a base clone that failed."""

    def __init__(self, command: Sequence[str], outcome: Outcome) -> None:
        super().__init__(list(command), outcome.code, "\n".join(outcome.lines))
        self.outcome = outcome


class _ClosedGit(git.Git):
    """GitPython's command line for git, in the environment and process group that relay gives git.

    git.Git starts git in a copy of the caller's environment, from which it can take nothing out: with $GIT_DIR or
    $GIT_OBJECT_DIRECTORY there, a command would work on another repository.
    """

    def execute(self, command: str | Sequence[Any], *_: Any, **options: Any) -> str:  # type: ignore[override]  # noqa: ANN401
        """Run a command to its end; return its output without the last newline. Raises CommandFailedError."""
        if isinstance(command, str) or options:
            raise TypeError(f"not supported on a base clone: {command} {options}")
        outcome = process.ask(*command[1:])
        if outcome.code:
            raise CommandFailedError(command, outcome)
        return outcome.stdout.decode(errors="surrogateescape").removesuffix("\n")


class BaseClone(git.Repo):
    """A base clone. Only its commands are used: GitPython's objects take a hundred times as long to list refs."""

    GitCommandWrapperType = _ClosedGit


@contextmanager
def open_repository(path: Path, title: str) -> Iterator[BaseClone]:
    """Open a base clone for the length of a block. Raises GitError, titled `title`, when a command in there fails."""
    for name in _CALLERS:  # git.Repo prefers them to its path; git itself drops them for commands in a submodule
        os.environ.pop(name, None)
    try:
        repository = BaseClone(path, expand_vars=False)
        repository.git.set_persistent_git_options(git_dir=path, c=process.STRICT_SETTINGS)
        yield repository
    except CommandFailedError as error:
        raise translate(error.outcome, title) from error
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise translate(Outcome(128, b"", (f"fatal: not a git repository: '{path}'",)), title) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise translate(Outcome(128, b"", tuple(str(error).splitlines())), title) from error
