"""The Look port."""

from __future__ import annotations

from relay_tui.adapters.git.look import confine, eye, facts
from relay_tui.adapters.git.look.view import open_view
from relay_tui.services.ports.work import Clone
from relay_tui.work import Facts

PATIENCE = 15.0
"""Seconds that one git command may take, however large the clone is."""


class Looker:
    """Looks at clones through the host's git, which sees nothing of the session's own git directory but objects."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience

    def confinement(self) -> str:
        """What stands around git while it looks, in words."""
        return confine.best().words

    def prepare(self, clone: Clone) -> None:
        """Make the eye of a fresh clone, before its container exists. Made anew when it is missing later."""
        with eye.held(clone, self._patience):
            eye.prepare(clone)

    def facts(self, clone: Clone) -> Facts:
        """Branch, counts, what is unpushed, the last commit."""
        with open_view(clone, self._patience) as view:
            return facts.look(view)
