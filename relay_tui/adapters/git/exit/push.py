"""From a base to its upstream: what would go, and sending exactly that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.git.credentials import spellings
from relay_tui.adapters.git.exit import commits, lfs, own, upstream
from relay_tui.adapters.git.exit.refusals import refusal
from relay_tui.adapters.git.faults import redact
from relay_tui.services.ports import Source
from relay_tui.services.watch import Watch
from relay_tui.work import Pushed, PushPlan

_LISTED = 100
_REMOTE = "remote: "
_LINK = re.compile(r"https?://[^\s<>\"'`\x00-\x1f\x7f]+")
_OPTIONS = ("--progress", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")


def plan(base: Path, source: Source, branch: str, commit: str) -> PushPlan:
    """What a push of `commit` to the upstream's `branch` would send, as the base knows the upstream."""
    theirs = own.refs(base, f"refs/heads/{branch}").get(f"refs/heads/{branch}", "")
    return PushPlan(
        remote=source.url,
        branch=branch,
        commit=commit,
        commits=commits.read(base, commit, *commits.UPSTREAM, limit=_LISTED),
        count=commits.count(base, commit, *commits.UPSTREAM),
        new_branch=not theirs,
        lfs_files=len(lfs.to_send(base, commit)),
        diverged=bool(theirs) and not commits.is_ancestor(base, theirs, commit),
    )


def push(base: Path, source: Source, wanted: PushPlan, watch: Watch) -> Pushed:
    """Send it; afterwards the base knows that the upstream has it."""
    watch.check()
    lfs.send(base, source, lfs.to_send(base, wanted.commit), watch)
    watch.stage("Connecting")
    target = f"refs/heads/{wanted.branch}"
    command = ("push", *_OPTIONS, "--", source.url, f"{wanted.commit}:{target}")
    outcome = upstream.talk(base, command, source, watch)
    said = remote_lines(outcome.lines, spellings(source))
    if outcome.code:
        raise refusal(outcome, wanted, said, spellings(source))
    with own.alone(base, watch):
        own.ask(base, "update-ref", target, wanted.commit, title="The push is not noted in the base clone")
    links = dict.fromkeys(link.rstrip(".,;:!?)]}") for line in said for link in _LINK.findall(line))
    return Pushed(branch=wanted.branch, commit=wanted.commit, said=said, links=tuple(links))


def remote_lines(lines: Sequence[str], secrets: Sequence[str]) -> tuple[str, ...]:
    """What the remote itself said, without the blank lines around it, and without secrets."""
    said = [redact(line[len(_REMOTE) :].rstrip(), secrets) for line in lines if line.startswith(_REMOTE)]
    while said and not said[0]:
        del said[0]
    while said and not said[-1]:
        del said[-1]
    return tuple(said)
