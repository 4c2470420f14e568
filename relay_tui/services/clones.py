"""From a session's record to where its git lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.model import Session
    from relay_tui.paths import DataDir
    from relay_tui.services.ports import Clone


def clone_of(session: Session, data_dir: DataDir, work_dir: Path | None = None) -> Clone:
    """The session's clone; `work_dir` is where it lies, if that is not where its record says (the trash)."""
    from relay_tui.services.ports import Clone  # it knows all of `work`, which the first paint does without

    return Clone(
        session_id=session.id,
        work_dir=work_dir or Path(session.work_dir),
        eye=data_dir.eye(session.project_id, session.id),
        base=data_dir.base(session.project_id),
        branch=session.branch,
        base_branch=session.base_branch,
        name=session.name,
    )
