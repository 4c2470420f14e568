"""Speaking with the upstream, with the host's own credentials; bringing a base up to date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.credentials import lend, spellings
from relay_tui.adapters.git.exit import commits, own
from relay_tui.adapters.git.faults import translate, wants_login
from relay_tui.services.ports import Source
from relay_tui.services.watch import Watch

_PATIENCE = (
    *("-c", "http.lowSpeedLimit=1000"),  # bytes a second …
    *("-c", "http.lowSpeedTime=60"),  # … for a minute: the server is gone
)
_MIRRORED = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_COUNTED = 20  # branches whose new commits are counted; more take too long


def talk(base: Path, arguments: Sequence[str], source: Source, watch: Watch) -> process.Outcome:
    """Run a git command that speaks with the upstream. Its failure is the caller's to explain."""
    outcome: process.Outcome | None = None
    if source.username and not source.password:
        # Either a token, or a name whose password a helper of the user knows: a helper finds it by the host alone.
        outcome = _once(base, arguments, Source(source.url), watch)
    if outcome is None or (outcome.code and wants_login(outcome)):
        outcome = _once(base, arguments, source, watch)
    return outcome


def _once(base: Path, arguments: Sequence[str], source: Source, watch: Watch) -> process.Outcome:
    extra = {} if source.url.startswith(("http://", "https://")) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with lend(source) as loan:
        command = (*own.STRICT, *_PATIENCE, *loan.options, f"--git-dir={base}", *arguments)
        return process.work(command, watch, env, pass_fds=loan.descriptors)


def fetch(base: Path, source: Source, watch: Watch) -> list[str]:
    """Make the base's heads and tags those of its upstream; answer what changed, a line for each branch.

    Objects stay, also of branches that were rewritten or are gone: relay collects no garbage in a base.
    """
    watch.check()
    watch.stage("Connecting")
    options = ("--prune", "--progress", "--no-tags", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head")
    with own.alone(base, watch):
        before = own.refs(base, "refs/heads/")
        outcome = talk(base, ("fetch", *options, "--", source.url, *_MIRRORED), source, watch)
        if outcome.code:
            raise translate(outcome, "The upstream cannot be fetched", spellings(source))
        after = own.refs(base, "refs/heads/")
    return _changes(base, before, after)


def _changes(base: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
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
