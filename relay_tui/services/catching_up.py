"""Merging or rebasing inside a session's container, where running what the repository brings is right."""

from __future__ import annotations

from collections.abc import Sequence

from relay_tui.errors import ConflictError, GitError
from relay_tui.model import Session
from relay_tui.services.ports import Answer, Parcel, Runtime
from relay_tui.services.spec import workspace
from relay_tui.services.watch import Watch
from relay_tui.work import Updated

_GIT = ("git", "-c", "core.editor=true", "-c", "advice.mergeConflict=false", "-C")
_SHOWN = 20  # of the files that conflict, and of git's lines
_NO_PROGRAM = 127
_STOPPED = 1  # git's exit code for what it began and could not finish; it refuses to begin with others


def catch_up(runtime: Runtime, session: Session, parcel: Parcel, watch: Watch, *, rebase: bool) -> Updated:
    """Hand the parcel to git in the container, then merge or rebase. Conflicts are taken back and raised."""
    if not parcel.count:
        return Updated(branch=parcel.branch, commit=parcel.commit, count=0)
    inside = _Inside(runtime, session, watch)
    _refuse_unfinished(inside, session)
    remote = f"refs/remotes/origin/{parcel.branch}"
    commits = f"{parcel.count} {'commit' if parcel.count == 1 else 'commits'}"
    watch.stage(f"Handing {commits} to the container")
    inside.must("The commits cannot be handed over", "index-pack", "--stdin", "--fix-thin", given=parcel)
    inside.must("The branch cannot be handed over", "update-ref", remote, parcel.commit)
    verb = "rebase" if rebase else "merge"
    watch.stage(f"Rebasing onto {parcel.branch}" if rebase else f"Merging {parcel.branch}")
    how = ("rebase", remote) if rebase else ("merge", "--no-edit", remote)
    done = inside.git(*how)
    if done.code:
        raise _taken_back(inside, session, parcel, verb, done)
    return Updated(branch=parcel.branch, commit=parcel.commit, count=parcel.count, said=_lines(done.out))


class _Inside:
    """git in the session's container."""

    def __init__(self, runtime: Runtime, session: Session, watch: Watch) -> None:
        self._runtime = runtime
        self._session = session
        self._watch = watch

    def git(self, *arguments: str, given: Parcel | None = None, watch: Watch | None = None) -> Answer:
        """Run it; raises GitError when the image has none."""
        answer = self._runtime.ask(
            self._session.container_id,
            (*_GIT, workspace(self._session), *arguments),
            watch or self._watch,
            given=given.pack if given else None,
        )
        if answer.code == _NO_PROGRAM:
            raise GitError(
                "The session's image has no git",
                f"{self._session.image} cannot merge or rebase.",
                "Install git in it, or choose an image that has it: relay session retry --image IMAGE, when stopped.",
            )
        return answer

    def must(self, title: str, *arguments: str, given: Parcel | None = None) -> None:
        """Run it; raises GitError with its words unless it succeeds."""
        answer = self.git(*arguments, given=given)
        if answer.code:
            raise GitError(title, "\n".join(_lines(answer.err or answer.out)))


def _refuse_unfinished(inside: _Inside, session: Session) -> None:
    """Leave alone a merge that somebody is at already: undoing ours would undo theirs."""
    if _conflicting(inside) or not inside.git("rev-parse", "-q", "--verify", "MERGE_HEAD").code:
        hint = "Conclude it in the session, or take it back there (git merge --abort, git rebase --abort)."
        raise ConflictError(f"{session.name} is in the middle of a merge or rebase", hint=hint)


def _conflicting(inside: _Inside, watch: Watch | None = None) -> list[str]:
    found = inside.git("diff", "--name-only", "--diff-filter=U", "-z", watch=watch).out
    return [name.decode(errors="replace") for name in found.split(b"\0") if name]


def _taken_back(inside: _Inside, session: Session, parcel: Parcel, verb: str, done: Answer) -> ConflictError:
    """Undo a merge or rebase that stopped half-way; the error that says why it stopped."""
    quiet = Watch()  # whoever cancels now must not keep it from being undone
    conflicting = _conflicting(inside, quiet)
    began = done.code == _STOPPED
    undone = not began or not inside.git(verb, "--abort", watch=quiet).code
    if not conflicting:
        hint = "Commit or stash in the session what is in the way, then try again."
        words = _words(done)
        if "tell me who you are" in words:
            hint = "Set user.name and user.email in its shell with git config, or on this host for sessions to come."
        return ConflictError(f"{session.name} cannot {verb} {parcel.branch}", words, hint)
    more = len(conflicting) - _SHOWN
    shown = [*conflicting[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    count = f"{len(conflicting)} {'file conflicts' if len(conflicting) == 1 else 'files conflict'}"
    after = "The session is as it was." if undone else f"It could not be undone: git {verb} --abort."
    resolve = f"To resolve them in its shell: git {verb} origin/{parcel.branch}"
    return ConflictError(f"{count} with {parcel.branch}", "\n".join([*shown, after]), resolve)


def _words(answer: Answer) -> str:
    return "\n".join(_lines(answer.err + answer.out))


def _lines(said: bytes) -> tuple[str, ...]:
    lines: Sequence[str] = said.decode(errors="replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_SHOWN:]
