"""Bringing work out of sessions, and upstream work in: push, fetch, keep, bundle, export, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from relay_tui.domain.errors import ConflictError, GitError, InvalidInputError
from relay_tui.domain.events import EventBus, ProjectFetched, SessionUpdated, WorkPushed
from relay_tui.domain.models import CloneState, Project, Session, now
from relay_tui.domain.transfers import (
    ExportResult,
    PushPlan,
    PushResult,
    SavedRef,
    SaveResult,
    UpdateResult,
    bundle_ref_names,
)
from relay_tui.domain.unsaved_work import RiskKind, SaveMethod
from relay_tui.paths import DataDir
from relay_tui.ports import CloneSource, ExecResult, Files, Git, GitTransfer, Runtime, SessionClone, UpdatePack
from relay_tui.ports.task import TaskContext
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.sessions.container_spec import workspace
from relay_tui.services.sessions.repository import SessionRepository


class SyncService:
    """The use cases that carry commits across a session's border. Thread-safe."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        git: Git,
        transfer: GitTransfer,
        runtime: Runtime,
        files: Files,
        locks: OperationLocks,
        bus: EventBus,
        data_dir: DataDir,
    ) -> None:
        self._repository = repository
        self._git = git
        self._transfer = transfer
        self._runtime = runtime
        self._files = files
        self._locks = locks
        self._bus = bus
        self._data_dir = data_dir

    # --- the upstream ---

    def fetch_project(self, project_id: str, task: TaskContext) -> tuple[str, ...]:
        """Bring the project's base up to date with its upstream; answer what changed, a line for each branch."""
        with self._locks.hold(project_id, "fetching a project"):
            project = self._project(project_id)
            changed = tuple(self._fetch(project, task))
            changed += self._follow_default(project)
        self._bus.publish(ProjectFetched(project_id, changed))
        return changed

    def _fetch(self, project: Project, task: TaskContext) -> Sequence[str]:
        return self._transfer.fetch(self._data_dir.base(project.id), CloneSource(project.source), task)

    def _follow_default(self, project: Project) -> tuple[str, ...]:
        """Take another default branch when the upstream no longer has the one on record."""
        heads = [branch.name for branch in self._git.branches(self._data_dir.base(project.id))]
        if project.default_branch in heads or not heads:
            return ()
        chosen = next((name for name in ("main", "master") if name in heads), heads[0])
        with self._repository.transaction() as change:
            current = change.records.projects.get(project.id)
            if current is not None:
                change.put(replace(current, default_branch=chosen, updated_at=now()))
        return (f"{project.default_branch} is gone upstream: the project's default branch is {chosen} now",)

    def update(self, session_id: str, task: TaskContext, *, rebase: bool = False) -> UpdateResult:
        """Fetch, then merge what the session lacks into what it is on, or rebase that, inside its container.

        That is what others pushed to the branch it is on; if there is nothing, what is new on its base branch.
        What does not go together is taken back, and said. Raises ConflictError, or GitError when the image has no git.
        """
        with self._locks.hold(session_id, "updating a session"):
            session = self._repository.find(session_id)
            self._require_running(session)
            self._fetch(self._project(session.project_id), task)
            with self._transfer.parcel(self._repository.clone_of(session), task) as parcel:
                updated = merge_in_container(self._runtime, session, parcel, task, rebase=rebase)
        self._bus.publish(SessionUpdated(session_id, updated))
        return updated

    def _require_running(self, session: Session) -> None:
        hint = f"Start it first: {{start {session.name}}}."
        status = self._runtime.inspect(session.container_id).status if session.container_id else "not there"
        if status != "running":
            raise ConflictError(f"{session.name} is not running", f"Its container is {status}.", hint)

    # --- a session's commits ---

    def plan_push(self, session_id: str, task: TaskContext, *, branch: str = "") -> PushPlan:
        """What a push of `branch` would send ('': of the one that the session is on)."""
        if branch:
            self._git.check_branch_name(branch)
        with self._locks.hold(session_id, "looking at what a push would send"):
            session = self._repository.find(session_id)
            return self._transfer.plan_push(
                self._repository.clone_of(session), self._source(session), task, branch=branch
            )

    def push(self, session_id: str, plan: PushPlan, task: TaskContext) -> PushResult:
        """Push what was planned, and nothing newer."""
        with self._locks.hold(session_id, "pushing"):
            session = self._repository.find(session_id)
            pushed = self._transfer.push(self._repository.clone_of(session), self._source(session), plan, task)
        self._bus.publish(WorkPushed(session_id, pushed))
        return pushed

    def rescue(
        self, session_id: str, rescue: SaveMethod, task: TaskContext, *, bundle: Path | None = None
    ) -> SaveResult:
        """Bring the session's work to safety: a push saves its branch, the others all branches, stashes and files."""
        if rescue is SaveMethod.PUSH:
            pushed = self.push(session_id, self.plan_push(session_id, task), task)
            return SaveResult(words=f"Pushed {pushed.branch} ({pushed.commit[:10]}).", saved=frozenset())
        if rescue is SaveMethod.BUNDLE and bundle is None:
            raise InvalidInputError("bundle", "A file for the bundle is needed")
        kept = self.save_ref(session_id, task)
        saved = _saved(kept, session_id)
        words = f"Kept in the base clone: relay session export {session_id} --to DIR brings it out."
        if bundle is not None:
            self.bundle(session_id, bundle, task)
            words = f"Saved in {bundle}: git clone {bundle} DIR brings it out.{_also(kept, session_id)}"
        return SaveResult(words=words, saved=saved)

    def save_ref(self, session_id: str, task: TaskContext) -> dict[str, str]:
        """Keep every head and stash of the session in the base; answer ref → commit."""
        with self._locks.hold(session_id, "keeping a session's work"):
            return self._transfer.keep(self._repository.clone_of(self._repository.find(session_id)), task)

    def bundle(self, session_id: str, target: Path, task: TaskContext) -> int:
        """Save every head and stash of the session as a git bundle; answer its bytes."""
        with self._locks.hold(session_id, "bundling a session's work"):
            return self._transfer.bundle(
                self._repository.clone_of(self._repository.find(session_id)), self._outside(target), task
            )

    def saved_refs(self, project_id: str) -> list[SavedRef]:
        """What the project's base holds of sessions and the upstream does not have."""
        return self._transfer.saved_refs(self._data_dir.base(project_id))

    def export(self, session: Session, target: Path, task: TaskContext, *, name: str = "") -> ExportResult:
        """An ordinary clone at `target`, or a branch in the repository that is there; answer what it has now.

        Of a removed session too: from its clone in the trash, or from what was kept of it.
        """
        if name:
            self._git.check_branch_name(name)
        target = self._outside(target)
        with self._locks.hold(session.id, "exporting a session"):
            project = self._project(session.project_id)
            return self._transfer.export(self._wherever(session), project.source, target, task, name=name)

    def export_kept(
        self, project_id: str, kept: SavedRef, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """The same, of a session that is on record no more: from what was kept of it."""
        if name:
            self._git.check_branch_name(name)
        target = self._outside(target)
        project = self._project(project_id)
        clone = SessionClone(
            session_id=kept.session_id,
            work_dir=self._data_dir.session(project_id, kept.session_id),
            shadow_dir=self._data_dir.eye(project_id, kept.session_id),
            base=self._data_dir.base(project_id),
            branch=_branch(kept) or project.default_branch,
            base_branch=project.default_branch,
        )
        with self._locks.hold(kept.session_id, "exporting what was kept"):
            return self._transfer.export(clone, project.source, target, task, name=name)

    def _wherever(self, session: Session) -> SessionClone:
        """The session's clone in place, or in the trash."""
        if session.deleted_at is not None:
            for entry in reversed(self._files.trash_entries()):
                if entry.name == session.id and not entry.condemned:
                    return self._repository.clone_of(session, entry.path)
        return self._repository.clone_of(session)

    def _outside(self, target: Path) -> Path:
        """`target` in full. A session could have put something there, if it lay within the data dir."""
        full = target.expanduser().absolute()
        if full.resolve().is_relative_to(self._data_dir.root.resolve()):
            raise InvalidInputError("to", "That is relay's own directory", str(full), "Choose a place outside of it.")
        return full

    # --- the records ---

    def _source(self, session: Session) -> CloneSource:
        return CloneSource(self._project(session.project_id).source)

    def _project(self, project_id: str) -> Project:
        project = self._repository.find_project(project_id)
        if project.clone_state is not CloneState.READY:
            raise ConflictError(f"{project.name} is not cloned yet", hint="Wait for its clone, or retry it.")
        return project


def _also(refs: Mapping[str, str], session_id: str) -> str:
    """Where in a clone of a bundle that is which was on no branch."""
    names = bundle_ref_names(ref.removeprefix(f"refs/relay/{session_id}/") for ref in refs)
    places = [
        ref.replace("refs/heads/", "origin/").replace("refs/tags/", "tag ")
        for name, ref in names.items()
        if not name.startswith(("heads/", "tags/"))
    ]
    return f" Besides its branches: {', '.join(places)} (git stash apply NAME for a stash)." if places else ""


def _branch(kept: SavedRef) -> str:
    """The branch that was kept, or '' if it was none."""
    heads = f"refs/relay/{kept.session_id}/heads/"
    return kept.ref.removeprefix(heads) if kept.ref.startswith(heads) else ""


def _saved(refs: Mapping[str, str], session_id: str) -> frozenset[RiskKind]:
    """What a copy of these refs saves; files only if all of them could be read."""
    files = {RiskKind.DIRTY, RiskKind.UNTRACKED} if f"refs/relay/{session_id}/uncommitted" in refs else set()
    return frozenset({RiskKind.UNPUSHED, RiskKind.STASHED, *files})


_GIT = ("git", "-c", "core.editor=true", "-c", "advice.mergeConflict=false", "-C")


_SHOWN = 20  # of the files that conflict, and of git's lines


_NO_PROGRAM = 127


_STOPPED = 1  # git's exit code for what it began and could not finish; it refuses to begin with others


def merge_in_container(
    runtime: Runtime, session: Session, parcel: UpdatePack, task: TaskContext, *, rebase: bool
) -> UpdateResult:
    """Hand the parcel to git in the container, then merge or rebase. Conflicts are taken back and raised."""
    if not parcel.count:
        return UpdateResult(branch=parcel.branch, commit=parcel.commit, count=0)
    inside = _Inside(runtime, session, task)
    _refuse_unfinished(inside, session)
    remote = f"refs/remotes/origin/{parcel.branch}"
    commits = f"{parcel.count} {'commit' if parcel.count == 1 else 'commits'}"
    task.report(f"Handing {commits} to the container")
    inside.must("The commits cannot be handed over", "index-pack", "--stdin", "--fix-thin", given=parcel)
    inside.must("The branch cannot be handed over", "update-ref", remote, parcel.commit)
    verb = "rebase" if rebase else "merge"
    task.report(f"Rebasing onto {parcel.branch}" if rebase else f"Merging {parcel.branch}")
    how = ("rebase", remote) if rebase else ("merge", "--no-edit", remote)
    done = inside.git(*how)
    if done.code:
        raise _taken_back(inside, session, parcel, verb, done)
    return UpdateResult(branch=parcel.branch, commit=parcel.commit, count=parcel.count, said=_lines(done.out))


class _Inside:
    """git in the session's container."""

    def __init__(self, runtime: Runtime, session: Session, task: TaskContext) -> None:
        self._runtime = runtime
        self._session = session
        self._task = task

    def git(self, *arguments: str, given: UpdatePack | None = None, task: TaskContext | None = None) -> ExecResult:
        """Run it; raises GitError when the image has none."""
        answer = self._runtime.exec_capture(
            self._session.container_id,
            (*_GIT, workspace(self._session), *arguments),
            task or self._task,
            given=given.pack if given else None,
        )
        if answer.code == _NO_PROGRAM:
            raise GitError(
                "The session's image has no git",
                f"{self._session.image} cannot merge or rebase.",
                "Install git in it, or choose an image that has it: relay session retry --image IMAGE, when stopped.",
            )
        return answer

    def must(self, title: str, *arguments: str, given: UpdatePack | None = None) -> None:
        """Run it; raises GitError with its words unless it succeeds."""
        answer = self.git(*arguments, given=given)
        if answer.code:
            raise GitError(title, "\n".join(_lines(answer.err or answer.out)))


def _refuse_unfinished(inside: _Inside, session: Session) -> None:
    """Leave alone a merge that somebody is at already: undoing ours would undo theirs."""
    if _conflicting(inside) or not inside.git("rev-parse", "-q", "--verify", "MERGE_HEAD").code:
        hint = "Conclude it in the session, or take it back there (git merge --abort, git rebase --abort)."
        raise ConflictError(f"{session.name} is in the middle of a merge or rebase", hint=hint)


def _conflicting(inside: _Inside, task: TaskContext | None = None) -> list[str]:
    found = inside.git("diff", "--name-only", "--diff-filter=U", "-z", task=task).out
    return [name.decode(errors="replace") for name in found.split(b"\0") if name]


def _taken_back(inside: _Inside, session: Session, parcel: UpdatePack, verb: str, done: ExecResult) -> ConflictError:
    """Undo a merge or rebase that stopped half-way; the error that says why it stopped."""
    quiet = TaskContext()  # whoever cancels now must not keep it from being undone
    conflicting = _conflicting(inside, quiet)
    began = done.code == _STOPPED
    undone = not began or not inside.git(verb, "--abort", task=quiet).code
    if not conflicting:
        hint = "Commit or stash in the session what is in the way, then try again."
        words = _output_text(done)
        if "tell me who you are" in words:
            hint = "Set user.name and user.email in its shell with git config, or on this host for sessions to come."
        return ConflictError(f"{session.name} cannot {verb} {parcel.branch}", words, hint)
    more = len(conflicting) - _SHOWN
    shown = [*conflicting[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    count = f"{len(conflicting)} {'file conflicts' if len(conflicting) == 1 else 'files conflict'}"
    after = "The session is as it was." if undone else f"It could not be undone: git {verb} --abort."
    resolve = f"To resolve them in its shell: git {verb} origin/{parcel.branch}"
    return ConflictError(f"{count} with {parcel.branch}", "\n".join([*shown, after]), resolve)


def _output_text(answer: ExecResult) -> str:
    return "\n".join(_lines(answer.err + answer.out))


def _lines(said: bytes) -> tuple[str, ...]:
    lines: Sequence[str] = said.decode(errors="replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_SHOWN:]
