"""git on the host: clones, branches, names. The only importer of GitPython, and it imports that late (110 ms)."""

from relay_tui.adapters.git.adapter import GitAdapter

__all__ = ["GitAdapter"]
