"""Removing a session only when nothing is lost with it, or when a person says so all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from relay_tui.domain.errors import ConflictError, RelayError
from relay_tui.domain.models import DesiredState, Session
from relay_tui.domain.transfers import SaveResult
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind, SaveMethod
from relay_tui.paths import DataDir
from relay_tui.ports import CloneInspector, Files
from relay_tui.ports.task import TaskContext
from relay_tui.services.sessions.repository import SessionRepository
from relay_tui.services.sessions.service import SessionService
from relay_tui.services.sync import SyncService
from relay_tui.services.trash import Trash
from relay_tui.text.format import format_size


class UnsavedWorkError(ConflictError):
    """Refused: work would go with the session that nothing else has. `guarded` says which."""

    kind = "unsaved-work"

    def __init__(self, name: str, guarded: RemovalCheck, hint: str) -> None:
        super().__init__(f"{name} holds work that is nowhere else", "\n".join(describe(guarded)), hint)
        self.guarded = guarded

    def tell_saved(self, rescued: SaveResult) -> None:
        """Say what is safe already, and why the rest is not."""
        lines = [self.detail, *(_why_not(risk) for risk in self.guarded.risks if rescued.saved)]
        self.detail = "\n".join([*filter(None, lines), f"Saved, and to be found: {rescued.words}"])


def _why_not(risk: Risk) -> str:
    """Why a copy has not got it, where that can be told."""
    if risk.hazard is RiskKind.IGNORED:
        return "Ignored files are not saved."
    inner = [path for path in risk.examples if path.endswith("/")]
    if risk.hazard is RiskKind.UNTRACKED and inner:
        return f"Not saved, as a git repository of its own: {', '.join(inner)}"
    return ""


class TrashFullError(ConflictError):
    """Refused: the trash would take more of the disk than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What came of a removal, in words."""

    rescued: str = ""
    """Where the rescued work is."""
    safe: tuple[str, ...] = ()
    """Why work that looks unpushed was not in the way."""


class RemovalService:
    """The guard before a removal. Thread-safe."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        inspector: CloneInspector,
        files: Files,
        sessions: SessionService,
        sync: SyncService,
        trash: Trash,
        data_dir: DataDir,
    ) -> None:
        self._repository = repository
        self._inspector = inspector
        self._files = files
        self._sessions = sessions
        self._sync = sync
        self._trash = trash
        self._data_dir = data_dir

    def check_unsaved(self, session_id: str) -> RemovalCheck:
        """What would be lost with the session. What cannot be told counts as unsaved."""
        session = self._repository.find(session_id)
        if not self._files.holds_anything(Path(session.work_dir)):
            return RemovalCheck()
        trash = self._trash.too_full(Path(session.work_dir))
        return replace(self._guarded(session), trash=trash)

    def guard_project(self, project_id: str) -> RemovalCheck:
        """What would be lost with all the project's sessions."""
        found: list[Risk] = []
        safe: list[str] = []
        for session in self._repository.read().live_sessions(project_id):
            if self._files.has_clone(Path(session.work_dir)):
                guarded = self._guarded(session)
                found += [replace(risk, session=session.name) for risk in guarded.risks]
                safe += [f"{session.name}: {words}" for words in guarded.safe]
        trash = self._trash.too_full(self._data_dir.project(project_id))
        return RemovalCheck(risks=tuple(found), safe=tuple(safe), trash=trash)

    def _guarded(self, session: Session) -> RemovalCheck:
        try:
            return self._inspector.guard(self._repository.clone_of(session))
        except RelayError as error:
            reason = f"{error.title}: {error.detail}" if error.detail else error.title
            return RemovalCheck(risks=(Risk(hazard=RiskKind.UNKNOWN, count=1, reason=reason),))

    def remove(
        self,
        session_id: str,
        task: TaskContext,
        *,
        force: bool = False,
        rescue: SaveMethod | None = None,
        bundle: Path | None = None,
    ) -> Removed:
        """Rescue what is asked for, then remove the session.

        Raises UnsavedWorkError, unless `force`, when work would still be lost: nothing is removed then.
        """
        self._sessions.check_removable(session_id)
        rescued = self._sync.rescue(session_id, rescue, task, bundle=bundle) if rescue else None
        safe: tuple[str, ...] = ()
        if not force:
            task.report("Looking for unsaved work")
            try:
                safe = self.check(session_id, rescued.saved if rescued else frozenset()).safe
            except UnsavedWorkError as error:
                if rescued:
                    error.tell_saved(rescued)
                raise
            task.raise_if_cancelled()
        self._sessions.remove(session_id, task)
        return Removed(rescued=rescued.words if rescued else "", safe=safe)

    def check(self, session_id: str, saved: frozenset[RiskKind] = frozenset()) -> RemovalCheck:
        """What was found, if nothing of it is in the way of a removal.

        Raises UnsavedWorkError when work would be lost that is not `saved`; ConflictError for the last session.
        A removal that has begun already is not asked about again.
        """
        self._sessions.check_removable(session_id)
        if self._repository.find(session_id).desired is DesiredState.REMOVED:
            return RemovalCheck()
        guarded = self.check_unsaved(session_id)
        left = tuple(risk for risk in guarded.risks if risk.hazard not in saved)
        if not left and guarded.trash:
            hint = "{|--force moves it there all the same; }relay purge --older-than 0 makes room first."
            raise TrashFullError("The trash would take too much of the disk", guarded.trash, hint)
        if not left:
            return guarded
        hint = (
            "{Save it first, or remove it all the same|"
            "--keep or --bundle FILE saves it, --push what is committed; --force moves it to the trash}."
        )
        if all(risk.hazard is RiskKind.UNKNOWN for risk in left):
            hint = "relay cannot save what it cannot read: look in its shell{|; --force moves it to the trash}."
        elif saved:
            hint = "Commit in the session what is to stay, or {remove it all the same|add --force}."
        raise UnsavedWorkError(self._repository.find(session_id).name, replace(guarded, risks=left), hint)


_SHOWN = 3


def describe(guarded: RemovalCheck) -> list[str]:
    """A line for each kind of work at risk. Names in them were written by the session."""
    return [f"{risk.session}: {_line(risk)}" if risk.session else _line(risk) for risk in guarded.risks]


def _line(risk: Risk) -> str:
    if risk.hazard is RiskKind.UNKNOWN:
        return f"unknown: {risk.reason}"
    what = _WORDS[risk.hazard](risk)
    examples = list(risk.examples[:_SHOWN])
    if risk.count > len(examples) > 0:
        examples.append("…")
    return f"{what}: {', '.join(examples)}" if examples else what


def _counted(risk: Risk, one: str, more: str) -> str:
    size = f", {format_size(risk.size)}" if risk.size is not None else ""
    return f"{risk.count} {one if risk.count == 1 else more}{size}"


def _on(risk: Risk) -> str:
    return f" on {risk.branch}" if risk.branch else ""


_WORDS = {
    RiskKind.DIRTY: lambda risk: _counted(risk, "changed file", "changed files"),
    RiskKind.UNTRACKED: lambda risk: _counted(risk, "untracked file", "untracked files"),
    RiskKind.IGNORED: lambda risk: _counted(risk, "large ignored entry", "large ignored entries"),
    RiskKind.STASHED: lambda risk: _counted(risk, "stash", "stashes"),
    RiskKind.UNPUSHED: lambda risk: f"{_counted(risk, 'commit', 'commits')}{_on(risk)} that the upstream lacks",
}
