"""Removal with a check for unsaved work."""

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
    """Refused: the session has work that exists nowhere else. `guarded` lists it."""

    kind = "unsaved-work"

    def __init__(self, name: str, guarded: RemovalCheck, hint: str) -> None:
        super().__init__(f"{name} has unsaved work", "\n".join(describe(guarded)), hint)
        self.guarded = guarded

    def add_saved(self, result: SaveResult) -> None:
        """Add what was saved, and the reason why the rest was not."""
        lines = [self.detail, *(_unsaved_reason(risk) for risk in self.guarded.risks if result.saved)]
        self.detail = "\n".join([*filter(None, lines), f"Already saved: {result.words}"])


def _unsaved_reason(risk: Risk) -> str:
    """Return why a copy does not include the work; '' if the reason is unknown."""
    if risk.hazard is RiskKind.IGNORED:
        return "Ignored files are not saved."
    inner = [path for path in risk.examples if path.endswith("/")]
    if risk.hazard is RiskKind.UNTRACKED and inner:
        return f"Not saved, because it is a separate git repository: {', '.join(inner)}"
    return ""


class TrashFullError(ConflictError):
    """Refused: the trash would exceed its share of the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Result of a removal, as text."""

    rescued: str = ""
    """Location of the saved work."""
    safe: tuple[str, ...] = ()
    """Reasons why work that looks unpushed is not lost."""


class RemovalService:
    """Checks for unsaved work before a removal. Thread-safe."""

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
        """Return the session's unsaved work. A state that cannot be determined counts as unsaved."""
        session = self._repository.find(session_id)
        if not self._files.holds_anything(Path(session.work_dir)):
            return RemovalCheck()
        trash = self._trash.too_full(Path(session.work_dir))
        return replace(self._guarded(session), trash=trash)

    def guard_project(self, project_id: str) -> RemovalCheck:
        """Return the unsaved work of all the project's sessions."""
        risks: list[Risk] = []
        safe: list[str] = []
        for session in self._repository.read().live_sessions(project_id):
            if self._files.has_clone(Path(session.work_dir)):
                guarded = self._guarded(session)
                risks += [replace(risk, session=session.name) for risk in guarded.risks]
                safe += [f"{session.name}: {words}" for words in guarded.safe]
        trash = self._trash.too_full(self._data_dir.project(project_id))
        return RemovalCheck(risks=tuple(risks), safe=tuple(safe), trash=trash)

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
        """Save the work as requested, then remove the session.

        Raises UnsavedWorkError, unless `force`, if work would still be lost. Nothing is removed then.
        """
        self._sessions.check_removable(session_id)
        rescued = self._sync.rescue(session_id, rescue, task, bundle=bundle) if rescue else None
        safe: tuple[str, ...] = ()
        if not force:
            task.report("Checking for unsaved work")
            try:
                safe = self.check(session_id, rescued.saved if rescued else frozenset()).safe
            except UnsavedWorkError as error:
                if rescued:
                    error.add_saved(rescued)
                raise
            task.raise_if_cancelled()
        self._sessions.remove(session_id, task)
        return Removed(rescued=rescued.words if rescued else "", safe=safe)

    def check(self, session_id: str, saved: frozenset[RiskKind] = frozenset()) -> RemovalCheck:
        """Return the result of the check if the session may be removed.

        Raises UnsavedWorkError if work would be lost that is not in `saved`, TrashFullError, and ConflictError for the
        last session. A removal that was interrupted passes without a check.
        """
        self._sessions.check_removable(session_id)
        if self._repository.find(session_id).desired is DesiredState.REMOVED:
            return RemovalCheck()
        guarded = self.check_unsaved(session_id)
        unsaved = tuple(risk for risk in guarded.risks if risk.hazard not in saved)
        if not unsaved and guarded.trash:
            hint = "Run relay purge --older-than 0 first{|, or use --force}."
            raise TrashFullError("The trash would use too much of the disk", guarded.trash, hint)
        if not unsaved:
            return guarded
        hint = (
            "{Save it first, or remove it anyway|"
            "Use --keep or --bundle FILE to save it, --push for commits, or --force to move it to the trash}."
        )
        if all(risk.hazard is RiskKind.UNKNOWN for risk in unsaved):
            hint = "relay cannot save unreadable work. Check in its shell{|, or use --force to move it to the trash}."
        elif saved:
            hint = "Commit the work in the session, or {remove it anyway|add --force}."
        raise UnsavedWorkError(self._repository.find(session_id).name, replace(guarded, risks=unsaved), hint)


_MAX_EXAMPLES = 3


def describe(guarded: RemovalCheck) -> list[str]:
    """Return a line for each kind of unsaved work. The session chose the names in them: they are not safe to show."""
    return [
        f"{risk.session}: {_describe_risk(risk)}" if risk.session else _describe_risk(risk) for risk in guarded.risks
    ]


def _describe_risk(risk: Risk) -> str:
    if risk.hazard is RiskKind.UNKNOWN:
        return f"unknown: {risk.reason}"
    summary = _SUMMARIES[risk.hazard](risk)
    examples = list(risk.examples[:_MAX_EXAMPLES])
    if risk.count > len(examples) > 0:
        examples.append("…")
    return f"{summary}: {', '.join(examples)}" if examples else summary


def _format_count(risk: Risk, one: str, more: str) -> str:
    size = f", {format_size(risk.size)}" if risk.size is not None else ""
    return f"{risk.count} {one if risk.count == 1 else more}{size}"


def _format_branch(risk: Risk) -> str:
    return f" on {risk.branch}" if risk.branch else ""


_SUMMARIES = {
    RiskKind.DIRTY: lambda risk: _format_count(risk, "changed file", "changed files"),
    RiskKind.UNTRACKED: lambda risk: _format_count(risk, "untracked file", "untracked files"),
    RiskKind.IGNORED: lambda risk: _format_count(risk, "large ignored entry", "large ignored entries"),
    RiskKind.STASHED: lambda risk: _format_count(risk, "stash", "stashes"),
    RiskKind.UNPUSHED: lambda risk: (
        f"{_format_count(risk, 'commit', 'commits')}{_format_branch(risk)} that the upstream lacks"
    ),
}
