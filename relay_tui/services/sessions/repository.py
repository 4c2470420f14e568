"""From a session's record to where its git lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.domain.models import Session
    from relay_tui.paths import DataDir
    from relay_tui.ports import SessionClone


def clone_of(session: Session, data_dir: DataDir, work_dir: Path | None = None) -> SessionClone:
    """The session's clone; `work_dir` is where it lies, if that is not where its record says (the trash)."""
    from relay_tui.ports import SessionClone  # it knows all of `work`, which the first paint does without

    return SessionClone(
        session_id=session.id,
        work_dir=work_dir or Path(session.work_dir),
        shadow_dir=data_dir.shadow_repo(session.project_id, session.id),
        base=data_dir.base(session.project_id),
        branch=session.branch,
        base_branch=session.base_branch,
        name=session.name,
    )
