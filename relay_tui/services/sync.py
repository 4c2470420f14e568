"""Move commits between sessions, base clones and upstreams: push, fetch, keep, bundle, export, update."""

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
    """Use cases that move commits into and out of sessions. Thread-safe."""

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
        """Fetch the upstream into the project's base clone; return what changed, a line for each branch."""
        with self._locks.hold(project_id, "fetching a project"):
            project = self._cloned_project(project_id)
            changed = tuple(self._fetch(project, task))
            changed += self._update_default_branch(project)
        self._bus.publish(ProjectFetched(project_id, changed))
        return changed

    def _fetch(self, project: Project, task: TaskContext) -> Sequence[str]:
        return self._transfer.fetch(self._data_dir.base(project.id), CloneSource(project.source), task)

    def _update_default_branch(self, project: Project) -> tuple[str, ...]:
        """Choose another default branch if the upstream no longer has the recorded one."""
        heads = [branch.name for branch in self._git.branches(self._data_dir.base(project.id))]
        if project.default_branch in heads or not heads:
            return ()
        chosen = next((name for name in ("main", "master") if name in heads), heads[0])
        with self._repository.transaction() as change:
            current = change.records.projects.get(project.id)
            if current is not None:
                change.put(replace(current, default_branch=chosen, updated_at=now()))
        return (f"{project.default_branch} no longer exists upstream: the project's default branch is now {chosen}",)

    def update(self, session_id: str, task: TaskContext, *, rebase: bool = False) -> UpdateResult:
        """Fetch, then merge new commits into the session's branch, or rebase it, inside its container.

        New commits are those that others pushed to the branch; if there are none, those of its base branch.
        Raises ConflictError if there are conflicts (the merge is undone), GitError if the image has no git.
        """
        with self._locks.hold(session_id, "updating a session"):
            session = self._repository.find(session_id)
            self._require_running(session)
            self._fetch(self._cloned_project(session.project_id), task)
            with self._transfer.parcel(self._repository.clone_of(session), task) as pack:
                updated = merge_in_container(self._runtime, session, pack, task, rebase=rebase)
        self._bus.publish(SessionUpdated(session_id, updated))
        return updated

    def _require_running(self, session: Session) -> None:
        hint = f"{{Press|Run}} {{start {session.name}}} to start it first."
        status = self._runtime.inspect(session.container_id).status if session.container_id else "missing"
        if status != "running":
            raise ConflictError(f"{session.name} is not running", f"Its container is {status}.", hint)

    # --- a session's commits ---

    def plan_push(self, session_id: str, task: TaskContext, *, branch: str = "") -> PushPlan:
        """Return what a push of `branch` would send ('': the session's current branch)."""
        if branch:
            self._git.check_branch_name(branch)
        with self._locks.hold(session_id, "planning a push"):
            session = self._repository.find(session_id)
            return self._transfer.plan_push(
                self._repository.clone_of(session), self._source(session), task, branch=branch
            )

    def push(self, session_id: str, plan: PushPlan, task: TaskContext) -> PushResult:
        """Push exactly the commits of the plan."""
        with self._locks.hold(session_id, "pushing"):
            session = self._repository.find(session_id)
            pushed = self._transfer.push(self._repository.clone_of(session), self._source(session), plan, task)
        self._bus.publish(WorkPushed(session_id, pushed))
        return pushed

    def rescue(
        self, session_id: str, rescue: SaveMethod, task: TaskContext, *, bundle: Path | None = None
    ) -> SaveResult:
        """Save the session's work: a push saves its branch, other methods save all branches, stashes and files."""
        if rescue is SaveMethod.PUSH:
            pushed = self.push(session_id, self.plan_push(session_id, task), task)
            return SaveResult(words=f"Pushed {pushed.branch} ({pushed.commit[:10]}).", saved=frozenset())
        if rescue is SaveMethod.BUNDLE and bundle is None:
            raise InvalidInputError("bundle", "The bundle needs a file name")
        kept = self.save_ref(session_id, task)
        saved = _saved_kinds(kept, session_id)
        text = f"Kept in the base clone; run relay session export {session_id} --to DIR to get it."
        if bundle is not None:
            self.bundle(session_id, bundle, task)
            text = f"Saved in {bundle}; run git clone {bundle} DIR to get it.{_detached_refs_notice(kept, session_id)}"
        return SaveResult(words=text, saved=saved)

    def save_ref(self, session_id: str, task: TaskContext) -> dict[str, str]:
        """Copy every head and stash of the session into the base clone; return ref → commit."""
        with self._locks.hold(session_id, "keeping a session's work"):
            return self._transfer.keep(self._repository.clone_of(self._repository.find(session_id)), task)

    def bundle(self, session_id: str, target: Path, task: TaskContext) -> int:
        """Save every head and stash of the session as a git bundle; return its size in bytes."""
        with self._locks.hold(session_id, "bundling a session's work"):
            return self._transfer.bundle(
                self._repository.clone_of(self._repository.find(session_id)), self._check_target(target), task
            )

    def saved_refs(self, project_id: str) -> list[SavedRef]:
        """Return the refs of sessions in the project's base clone that the upstream does not have."""
        return self._transfer.saved_refs(self._data_dir.base(project_id))

    def export(self, session: Session, target: Path, task: TaskContext, *, name: str = "") -> ExportResult:
        """Export the session to a new clone at `target`, or as a branch into the repository there.

        A removed session is exported from its clone in the trash, or from its saved refs. Returns the exported branch
        and commit.
        """
        if name:
            self._git.check_branch_name(name)
        target = self._check_target(target)
        with self._locks.hold(session.id, "exporting a session"):
            project = self._cloned_project(session.project_id)
            return self._transfer.export(self._find_clone(session), project.source, target, task, name=name)

    def export_kept(
        self, project_id: str, kept: SavedRef, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """Export the saved refs of a session without a record, like export()."""
        if name:
            self._git.check_branch_name(name)
        target = self._check_target(target)
        project = self._cloned_project(project_id)
        clone = SessionClone(
            session_id=kept.session_id,
            work_dir=self._data_dir.session(project_id, kept.session_id),
            shadow_dir=self._data_dir.shadow_repo(project_id, kept.session_id),
            base=self._data_dir.base(project_id),
            branch=_branch(kept) or project.default_branch,
            base_branch=project.default_branch,
        )
        with self._locks.hold(kept.session_id, "exporting saved refs"):
            return self._transfer.export(clone, project.source, target, task, name=name)

    def _find_clone(self, session: Session) -> SessionClone:
        """Return the session's clone, which is in the trash if the session was removed."""
        if session.deleted_at is not None:
            for entry in reversed(self._files.trash_entries()):
                if entry.name == session.id and not entry.condemned:
                    return self._repository.clone_of(session, entry.path)
        return self._repository.clone_of(session)

    def _check_target(self, target: Path) -> Path:
        """Return `target` as an absolute path.

        Raises InvalidInputError inside the data directory, where a session could have put something.
        """
        full = target.expanduser().absolute()
        if full.resolve().is_relative_to(self._data_dir.root.resolve()):
            raise InvalidInputError(
                "to", "That is relay's own directory", str(full), "Choose a directory outside of it."
            )
        return full

    # --- records ---

    def _source(self, session: Session) -> CloneSource:
        return CloneSource(self._cloned_project(session.project_id).source)

    def _cloned_project(self, project_id: str) -> Project:
        """Return the project. Raises NotFoundError if it was removed, ConflictError if it is not cloned."""
        project = self._repository.find_project(project_id)
        if project.clone_state is not CloneState.READY:
            raise ConflictError(f"{project.name} is not cloned yet", hint="Wait for its clone, or retry it.")
        return project


def _detached_refs_notice(refs: Mapping[str, str], session_id: str) -> str:
    """Return a note about the names, in a clone of the bundle, of commits that are on no branch."""
    names = bundle_ref_names(ref.removeprefix(f"refs/relay/{session_id}/") for ref in refs)
    targets = [
        ref.replace("refs/heads/", "origin/").replace("refs/tags/", "tag ")
        for name, ref in names.items()
        if not name.startswith(("heads/", "tags/"))
    ]
    return f" It also has: {', '.join(targets)} (use git stash apply NAME for a stash)." if targets else ""


def _branch(kept: SavedRef) -> str:
    """Return the branch of a saved ref; '' if the ref is no branch."""
    heads = f"refs/relay/{kept.session_id}/heads/"
    return kept.ref.removeprefix(heads) if kept.ref.startswith(heads) else ""


def _saved_kinds(refs: Mapping[str, str], session_id: str) -> frozenset[RiskKind]:
    """Return the kinds of work that the refs save; files only if all of them could be read."""
    files = {RiskKind.DIRTY, RiskKind.UNTRACKED} if f"refs/relay/{session_id}/uncommitted" in refs else set()
    return frozenset({RiskKind.UNPUSHED, RiskKind.STASHED, *files})


_GIT = ("git", "-c", "core.editor=true", "-c", "advice.mergeConflict=false", "-C")


_MAX_LINES = 20  # of conflicting files, and of git's output


_COMMAND_NOT_FOUND = 127


_INCOMPLETE = 1  # git's exit code for a merge that it started and could not finish; with others, it did not start


def merge_in_container(
    runtime: Runtime, session: Session, pack: UpdatePack, task: TaskContext, *, rebase: bool
) -> UpdateResult:
    """Send the pack to git in the container, then merge or rebase.

    Raises ConflictError if there are conflicts: the merge or rebase is undone first.
    """
    if not pack.count:
        return UpdateResult(branch=pack.branch, commit=pack.commit, count=0)
    git = _ContainerGit(runtime, session, task)
    _refuse_unfinished(git, session)
    remote = f"refs/remotes/origin/{pack.branch}"
    commits = f"{pack.count} {'commit' if pack.count == 1 else 'commits'}"
    task.report(f"Sending {commits} to the container")
    git.run("Cannot send the commits to the container", "index-pack", "--stdin", "--fix-thin", given=pack)
    git.run("Cannot update the branch in the container", "update-ref", remote, pack.commit)
    verb = "rebase" if rebase else "merge"
    task.report(f"Rebasing onto {pack.branch}" if rebase else f"Merging {pack.branch}")
    command = ("rebase", remote) if rebase else ("merge", "--no-edit", remote)
    result = git.run_unchecked(*command)
    if result.code:
        raise _undo(git, session, pack, verb, result)
    return UpdateResult(branch=pack.branch, commit=pack.commit, count=pack.count, said=_lines(result.out))


class _ContainerGit:
    """git in the session's container."""

    def __init__(self, runtime: Runtime, session: Session, task: TaskContext) -> None:
        self._runtime = runtime
        self._session = session
        self._task = task

    def run_unchecked(
        self, *arguments: str, given: UpdatePack | None = None, task: TaskContext | None = None
    ) -> ExecResult:
        """Run a git command; return its result. Raises GitError if the image has no git."""
        result = self._runtime.exec_capture(
            self._session.container_id,
            (*_GIT, workspace(self._session), *arguments),
            task or self._task,
            given=given.pack if given else None,
        )
        if result.code == _COMMAND_NOT_FOUND:
            raise GitError(
                "The session's image has no git",
                f"{self._session.image} cannot merge or rebase.",
                "Install git in it, or stop the session and choose another image: relay session retry --image IMAGE.",
            )
        return result

    def run(self, title: str, *arguments: str, given: UpdatePack | None = None) -> None:
        """Run a git command. Raises GitError with `title` and git's output if it fails."""
        result = self.run_unchecked(*arguments, given=given)
        if result.code:
            raise GitError(title, "\n".join(_lines(result.err or result.out)))


def _refuse_unfinished(git: _ContainerGit, session: Session) -> None:
    """Raise ConflictError if a merge is unfinished in the session: undoing relay's would undo that one too."""
    if _conflicting_files(git) or not git.run_unchecked("rev-parse", "-q", "--verify", "MERGE_HEAD").code:
        hint = "Complete it in the session, or undo it there (git merge --abort, git rebase --abort)."
        raise ConflictError(f"{session.name} is in the middle of a merge or rebase", hint=hint)


def _conflicting_files(git: _ContainerGit, task: TaskContext | None = None) -> list[str]:
    found = git.run_unchecked("diff", "--name-only", "--diff-filter=U", "-z", task=task).out
    return [name.decode(errors="replace") for name in found.split(b"\0") if name]


def _undo(git: _ContainerGit, session: Session, pack: UpdatePack, verb: str, result: ExecResult) -> ConflictError:
    """Undo a merge or rebase that stopped half-way; return the error with the reason."""
    uncancellable = TaskContext()  # a cancel must not prevent the undo
    conflicting = _conflicting_files(git, uncancellable)
    was_started = result.code == _INCOMPLETE
    undone = not was_started or not git.run_unchecked(verb, "--abort", task=uncancellable).code
    if not conflicting:
        hint = "Commit or stash the changes in the session, then try again."
        output = _output_text(result)
        if "tell me who you are" in output:
            hint = "Set user.name and user.email with git config in its shell, or on this host for new sessions."
        return ConflictError(f"{session.name} cannot {verb} {pack.branch}", output, hint)
    more = len(conflicting) - _MAX_LINES
    shown = [*conflicting[:_MAX_LINES], *([f"and {more} more"] if more > 0 else [])]
    count = f"{len(conflicting)} {'file conflicts' if len(conflicting) == 1 else 'files conflict'}"
    after = "The session is unchanged." if undone else f"It could not be undone: git {verb} --abort."
    resolve = f"To resolve them in its shell: git {verb} origin/{pack.branch}"
    return ConflictError(f"{count} with {pack.branch}", "\n".join([*shown, after]), resolve)


def _output_text(result: ExecResult) -> str:
    return "\n".join(_lines(result.err + result.out))


def _lines(output: bytes) -> tuple[str, ...]:
    lines: Sequence[str] = output.decode(errors="replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_MAX_LINES:]
