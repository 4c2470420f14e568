"""The Look port."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import AbstractContextManager
from pathlib import Path

from relay_tui.adapters.git.look import changes, confine, eye, facts, guard, patch
from relay_tui.adapters.git.look.changes import Survey
from relay_tui.adapters.git.look.view import View, open_view
from relay_tui.errors import UnknownStateError
from relay_tui.services.ports.work import Clone
from relay_tui.work import Against, Changes, Facts, Guarded, Patch

PATIENCE = 15.0
"""Seconds that one git command may take, however large the clone is."""

_KEPT = 16


class Looker:
    """Looks at clones through the host's git, which sees nothing of the session's own git directory but objects.

    `walls` stand around it: the best there are, if not given.
    """

    def __init__(self, patience: float = PATIENCE, walls: confine.Confinement | None = None) -> None:
        self._patience = patience
        self._walls = walls
        self._surveys: OrderedDict[tuple[Path, Against], Survey] = OrderedDict()
        self._lock = threading.Lock()

    def confinement(self) -> str:
        """What stands around git while it looks, in words."""
        return (self._walls or confine.best()).words

    def prepare(self, clone: Clone) -> None:
        """Make the eye of a fresh clone, before its container exists. Made anew when it is missing later."""
        with eye.held(clone, self._patience):
            eye.prepare(clone)

    def facts(self, clone: Clone) -> Facts:
        """Branch, counts, what is unpushed, the last commit."""
        with self._open(clone) as view:
            return facts.look(view)

    def changes(self, clone: Clone, against: Against) -> Changes:
        """The changed files with their line counts."""
        with self._open(clone) as view:
            return self._survey(view, against).changes()

    def patch(self, clone: Clone, against: Against, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """The diff of one file, or of all; one file's goes by what the last look at all of them found."""
        with self._open(clone) as view:
            survey = self._surveys.get((clone.eye, against)) if path else None
            if survey is None or path not in survey.files or survey.base != view.base_of(against):
                survey = self._survey(view, against)
            return patch.look(view, survey, path, limit)

    def guard(self, clone: Clone) -> Guarded:
        """What would be lost with the clone. Where nothing can be said, that is the risk."""
        try:
            with self._open(clone) as view:
                return guard.look(view)
        except UnknownStateError as error:
            return guard.unknown(error.detail)

    def forget(self, clone: Clone) -> None:
        """Delete the eye of a clone that went to the trash."""
        eye.forget(clone)

    def _open(self, clone: Clone) -> AbstractContextManager[View]:
        return open_view(clone, self._patience, self._walls)

    def _survey(self, view: View, against: Against) -> Survey:
        found = changes.look(view, against)
        with self._lock:
            self._surveys[view.clone.eye, against] = found
            self._surveys.move_to_end((view.clone.eye, against))
            if len(self._surveys) > _KEPT:
                self._surveys.popitem(last=False)
        return found
