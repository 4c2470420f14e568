"""Removing a session only when nothing is lost with it, or when a person says so all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from relay_tui.errors import ConflictError, NotFoundError, RelayError
from relay_tui.model import Desired, Session
from relay_tui.paths import DataDir
from relay_tui.services.clones import clone_of
from relay_tui.services.outward import Outward
from relay_tui.services.ports import Files, Look, Store
from relay_tui.services.risk_words import describe
from relay_tui.services.sessions import Sessions
from relay_tui.services.trash import Trash
from relay_tui.services.watch import Watch
from relay_tui.work import AtRisk, Guarded, Hazard, Rescue, Rescued


class UnsavedWorkError(ConflictError):
    """Refused: work would go with the session that nothing else has. `guarded` says which."""

    kind = "unsaved-work"

    def __init__(self, name: str, guarded: Guarded, hint: str) -> None:
        super().__init__(f"{name} holds work that is nowhere else", "\n".join(describe(guarded)), hint)
        self.guarded = guarded

    def tell_saved(self, rescued: Rescued) -> None:
        """Say what is safe already, and why the rest is not."""
        lines = [self.detail, *(_why_not(risk) for risk in self.guarded.risks if rescued.saved)]
        self.detail = "\n".join([*filter(None, lines), f"Saved, and to be found: {rescued.words}"])


def _why_not(risk: AtRisk) -> str:
    """Why a copy has not got it, where that can be told."""
    if risk.hazard is Hazard.IGNORED:
        return "Ignored files are not saved."
    inner = [path for path in risk.examples if path.endswith("/")]
    if risk.hazard is Hazard.UNTRACKED and inner:
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


class Removal:
    """The guard before a removal. Thread-safe."""

    def __init__(
        self,
        *,
        store: Store,
        look: Look,
        files: Files,
        sessions: Sessions,
        outward: Outward,
        trash: Trash,
        data_dir: DataDir,
    ) -> None:
        self._store = store
        self._look = look
        self._files = files
        self._sessions = sessions
        self._outward = outward
        self._trash = trash
        self._data_dir = data_dir

    def guard(self, session_id: str) -> Guarded:
        """What would be lost with the session. What cannot be told counts as unsaved."""
        session = self._find(session_id)
        if not self._files.holds_anything(Path(session.work_dir)):
            return Guarded()
        trash = self._trash.too_full(Path(session.work_dir))
        return replace(self._guarded(session), trash=trash)

    def guard_project(self, project_id: str) -> Guarded:
        """What would be lost with all the project's sessions."""
        found: list[AtRisk] = []
        safe: list[str] = []
        for session in self._store.read().live_sessions(project_id):
            if self._files.has_clone(Path(session.work_dir)):
                guarded = self._guarded(session)
                found += [replace(risk, session=session.name) for risk in guarded.risks]
                safe += [f"{session.name}: {words}" for words in guarded.safe]
        trash = self._trash.too_full(self._data_dir.project(project_id))
        return Guarded(risks=tuple(found), safe=tuple(safe), trash=trash)

    def _guarded(self, session: Session) -> Guarded:
        try:
            return self._look.guard(clone_of(session, self._data_dir))
        except RelayError as error:
            reason = f"{error.title}: {error.detail}" if error.detail else error.title
            return Guarded(risks=(AtRisk(hazard=Hazard.UNKNOWN, count=1, reason=reason),))

    def remove(
        self,
        session_id: str,
        watch: Watch,
        *,
        force: bool = False,
        rescue: Rescue | None = None,
        bundle: Path | None = None,
    ) -> Removed:
        """Rescue what is asked for, then remove the session.

        Raises UnsavedWorkError, unless `force`, when work would still be lost: nothing is removed then.
        """
        self._sessions.check_removable(session_id)
        rescued = self._outward.rescue(session_id, rescue, watch, bundle=bundle) if rescue else None
        safe: tuple[str, ...] = ()
        if not force:
            watch.stage("Looking for unsaved work")
            try:
                safe = self.check(session_id, rescued.saved if rescued else frozenset()).safe
            except UnsavedWorkError as error:
                if rescued:
                    error.tell_saved(rescued)
                raise
            watch.check()
        self._sessions.remove(session_id, watch)
        return Removed(rescued=rescued.words if rescued else "", safe=safe)

    def check(self, session_id: str, saved: frozenset[Hazard] = frozenset()) -> Guarded:
        """What was found, if nothing of it is in the way of a removal.

        Raises UnsavedWorkError when work would be lost that is not `saved`; ConflictError for the last session.
        A removal that has begun already is not asked about again.
        """
        self._sessions.check_removable(session_id)
        if self._find(session_id).desired is Desired.REMOVED:
            return Guarded()
        guarded = self.guard(session_id)
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
        if all(risk.hazard is Hazard.UNKNOWN for risk in left):
            hint = "relay cannot save what it cannot read: look in its shell{|; --force moves it to the trash}."
        elif saved:
            hint = "Commit in the session what is to stay, or {remove it all the same|add --force}."
        raise UnsavedWorkError(self._find(session_id).name, replace(guarded, risks=left), hint)

    def _find(self, session_id: str) -> Session:
        session = self._store.read().sessions.get(session_id)
        if session is None or session.deleted_at is not None:
            raise NotFoundError("That session is gone", session_id)
        return session
