"""`CloneInspector` port."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from relay_tui.adapters.git.inspection import changes, clone_status, diff, unsaved_work
from relay_tui.adapters.git.inspection.changes import ChangeSurvey
from relay_tui.adapters.git.untrusted import shadow_repo
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.adapters.git.untrusted.sandbox import Sandbox, best_sandbox
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot, open_snapshot
from relay_tui.domain.changes import ChangeSet, CloneStatus, DiffBase, Patch
from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.unsaved_work import RemovalCheck
from relay_tui.ports.inspector import SessionClone

TIMEOUT = 15.0
"""Seconds that one git command may take, whatever the size of the clone."""

_MOST_SURVEYS = 16


class GitInspector:
    """Inspection of clones by the host's git, which sees only the objects of the session's own git directory.

    git runs in `sandbox`, else in the best sandbox of this machine.
    """

    def __init__(self, timeout: float = TIMEOUT, sandbox: Sandbox | None = None) -> None:
        self._timeout = timeout
        self._sandbox = sandbox
        self._surveys: LruCache[tuple[Path, DiffBase], ChangeSurvey] = LruCache(_MOST_SURVEYS)

    def confinement(self) -> str:
        """Describe the sandbox that git runs in."""
        return (self._sandbox or best_sandbox()).description

    def prepare(self, clone: SessionClone) -> None:
        """Create the shadow repository of a new clone, before its container exists. It is recreated when missing."""
        with shadow_repo.exclusive_access(clone, self._timeout):
            shadow_repo.prepare(clone)

    def facts(self, clone: SessionClone) -> CloneStatus:
        """Return branch, number of changed files, unpushed commits and the last commit."""
        with self._open(clone) as snapshot:
            return clone_status.clone_status(snapshot)

    def changes(self, clone: SessionClone, against: DiffBase) -> ChangeSet:
        """Return the changed files with their line counts."""
        with self._open(clone) as snapshot:
            return self._survey(snapshot, against).changes()

    def patch(self, clone: SessionClone, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """Return the diff of one file, or of all. The diff of one file uses the last survey of all files."""
        with self._open(clone) as snapshot:
            survey = self._surveys.get((clone.shadow_dir, against)) if path else None
            if survey is None or path not in survey.files or survey.base != snapshot.base_of(against):
                survey = self._survey(snapshot, against)
            return diff.diff(snapshot, survey, path, limit)

    def guard(self, clone: SessionClone) -> RemovalCheck:
        """Return the work that would be lost with the clone. A clone that cannot be read is a risk of its own kind."""
        try:
            with self._open(clone) as snapshot:
                return unsaved_work.find_unsaved_work(snapshot)
        except UnknownStateError as error:
            return unsaved_work.unknown_risk(error.detail)

    def forget(self, clone: SessionClone) -> None:
        """Delete the shadow repository of a clone that was moved to the trash."""
        shadow_repo.delete(clone)

    def _open(self, clone: SessionClone) -> AbstractContextManager[CloneSnapshot]:
        return open_snapshot(clone, self._timeout, self._sandbox)

    def _survey(self, snapshot: CloneSnapshot, against: DiffBase) -> ChangeSurvey:
        key = (snapshot.clone.shadow_dir, against)
        return self._surveys.put(key, changes.list_changes(snapshot, against))
