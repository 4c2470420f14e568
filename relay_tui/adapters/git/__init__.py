"""git on the host: clones, branches, names. The only importer of GitPython, and it imports that late (110 ms).

The adapter is imported when it is first asked for: shell completion reads branch names without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.adapters.git.adapter import GitAdapter

__all__ = ["GitAdapter"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    from relay_tui.adapters.git.adapter import GitAdapter

    globals()[name] = GitAdapter
    return GitAdapter
