"""The completion service over its readers. Apart from container.py, whose imports take longer than a completion may."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.paths import DataDir, config_file, default_data_dir
from relay_tui.services.completion import CompletionService

if TYPE_CHECKING:
    from relay_tui.config import Config
    from relay_tui.domain.models import Records


def build_completion(data_dir: Path | None = None) -> CompletionService:
    """Return the completion service for `data_dir` (the default one if None), which need not exist."""
    place = DataDir((data_dir or default_data_dir()).expanduser().resolve())

    def records() -> Records:
        from relay_tui.adapters.store.readonly import read_records

        return read_records(place.store)

    def config() -> Config:
        from relay_tui.config import load

        return load(config_file())

    def branches(project_id: str) -> Sequence[str]:
        from relay_tui.adapters.git.branch_names import branch_names

        return branch_names(place.base(project_id))

    return CompletionService(records, config, branches)
