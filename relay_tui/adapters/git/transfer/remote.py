"""git commands that contact the upstream, with the host's credentials; fetch into a base clone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.credentials import provide_credentials, spellings
from relay_tui.adapters.git.errors import git_error, wants_login
from relay_tui.adapters.git.transfer import commits, trusted_git
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_TIMEOUT_OPTIONS = (
    *("-c", "http.lowSpeedLimit=1000"),  # bytes per second; git gives up …
    *("-c", "http.lowSpeedTime=60"),  # … after so many seconds below the limit
)
_MIRRORED = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_COUNTED = 20  # branches whose new commits are counted; counting more takes too long


def run_remote_command(base: Path, arguments: Sequence[str], source: CloneSource, task: TaskContext) -> process.Outcome:
    """Run a git command that contacts the upstream. The caller checks the exit code and words the error."""
    outcome: process.Outcome | None = None
    if source.username and not source.password:
        # The name is a token, or the user of a password that the user's helper knows. A helper finds it by host.
        outcome = _run(base, arguments, CloneSource(source.url), task)
    if outcome is None or (outcome.code and wants_login(outcome)):
        outcome = _run(base, arguments, source, task)
    return outcome


def _run(base: Path, arguments: Sequence[str], source: CloneSource, task: TaskContext) -> process.Outcome:
    extra = {} if source.url.startswith(("http://", "https://")) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with provide_credentials(source) as credentials:
        command = (*trusted_git.STRICT, *_TIMEOUT_OPTIONS, *credentials.options, f"--git-dir={base}", *arguments)
        return process.run_git(command, task, env, pass_fds=credentials.descriptors)


def fetch(base: Path, source: CloneSource, task: TaskContext) -> list[str]:
    """Set the base clone's heads and tags to those of its upstream; return one line for each changed branch.

    Objects are never deleted, also not those of rewritten or deleted branches: relay runs no gc in a base clone.
    """
    task.raise_if_cancelled()
    task.report("Connecting")
    options = ("--prune", "--progress", "--no-tags", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head")
    with trusted_git.lock_heads(base, task):
        before = trusted_git.refs(base, "refs/heads/")
        outcome = run_remote_command(base, ("fetch", *options, "--", source.url, *_MIRRORED), source, task)
        if outcome.code:
            raise git_error(outcome, "Cannot fetch from the upstream", spellings(source))
        after = trusted_git.refs(base, "refs/heads/")
    return _describe_changes(base, before, after)


def _describe_changes(base: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    lines = []
    moved = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    for number, name in enumerate(moved):
        branch = name.removeprefix("refs/heads/")
        if name not in before:
            lines.append(f"{branch}: new branch")
        elif name not in after:
            lines.append(f"{branch}: gone")
        elif number >= _COUNTED:
            lines.append(f"{branch}: moved")
        elif commits.is_ancestor(base, before[name], after[name]):
            new = commits.count(base, f"{before[name]}..{after[name]}")
            lines.append(f"{branch}: {new} new {'commit' if new == 1 else 'commits'}")
        else:
            lines.append(f"{branch}: rewritten")
    return lines
