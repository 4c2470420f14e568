"""The Look port."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import AbstractContextManager
from pathlib import Path

from relay_tui.adapters.git.inspection import changes, clone_status, diff, unsaved_work
from relay_tui.adapters.git.inspection.changes import ChangeSurvey
from relay_tui.adapters.git.untrusted import sandbox, shadow_repo
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot, open_snapshot
from relay_tui.domain.changes import ChangeSet, CloneStatus, DiffBase, Patch
from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.unsaved_work import RemovalCheck
from relay_tui.ports.inspector import SessionClone

PATIENCE = 15.0
"""Seconds that one git command may take, however large the clone is."""

_KEPT = 16


class GitInspector:
    """Looks at clones through the host's git, which sees nothing of the session's own git directory but objects.

    `walls` stand around it: the best there are, if not given.
    """

    def __init__(self, patience: float = PATIENCE, walls: sandbox.Sandbox | None = None) -> None:
        self._patience = patience
        self._walls = walls
        self._surveys: OrderedDict[tuple[Path, DiffBase], ChangeSurvey] = OrderedDict()
        self._lock = threading.Lock()

    def confinement(self) -> str:
        """What stands around git while it looks, in words."""
        return (self._walls or sandbox.best_sandbox()).words

    def prepare(self, clone: SessionClone) -> None:
        """Make the eye of a fresh clone, before its container exists. Made anew when it is missing later."""
        with shadow_repo.exclusive_access(clone, self._patience):
            shadow_repo.prepare(clone)

    def facts(self, clone: SessionClone) -> CloneStatus:
        """Branch, counts, what is unpushed, the last commit."""
        with self._open(clone) as view:
            return clone_status.clone_status(view)

    def changes(self, clone: SessionClone, against: DiffBase) -> ChangeSet:
        """The changed files with their line counts."""
        with self._open(clone) as view:
            return self._survey(view, against).changes()

    def patch(self, clone: SessionClone, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """The diff of one file, or of all; one file's goes by what the last look at all of them found."""
        with self._open(clone) as view:
            survey = self._surveys.get((clone.shadow_dir, against)) if path else None
            if survey is None or path not in survey.files or survey.base != view.base_of(against):
                survey = self._survey(view, against)
            return diff.diff(view, survey, path, limit)

    def guard(self, clone: SessionClone) -> RemovalCheck:
        """What would be lost with the clone. Where nothing can be said, that is the risk."""
        try:
            with self._open(clone) as view:
                return unsaved_work.find_unsaved_work(view)
        except UnknownStateError as error:
            return unsaved_work.unknown_risk(error.detail)

    def forget(self, clone: SessionClone) -> None:
        """Delete the eye of a clone that went to the trash."""
        shadow_repo.delete(clone)

    def _open(self, clone: SessionClone) -> AbstractContextManager[CloneSnapshot]:
        return open_snapshot(clone, self._patience, self._walls)

    def _survey(self, view: CloneSnapshot, against: DiffBase) -> ChangeSurvey:
        found = changes.list_changes(view, against)
        with self._lock:
            self._surveys[view.clone.shadow_dir, against] = found
            self._surveys.move_to_end((view.clone.shadow_dir, against))
            if len(self._surveys) > _KEPT:
                self._surveys.popitem(last=False)
        return found
