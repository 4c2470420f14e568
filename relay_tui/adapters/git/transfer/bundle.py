"""A session's work as one file, which git clones from."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import from_os
from relay_tui.adapters.git.transfer import trusted_git
from relay_tui.adapters.git.transfer.importer import ImportedRefs
from relay_tui.domain.errors import ConflictError, GitError
from relay_tui.domain.transfers import bundle_ref_names
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext


def write_bundle(clone: SessionClone, brought: ImportedRefs, target: Path, tmp: Path, task: TaskContext) -> int:
    """Write the refs that were brought in, with all their history, to `target`; answer its bytes."""
    if os.path.lexists(target):
        raise ConflictError(f"There is something at {target} already", hint="Choose another file.")
    if not brought.refs:
        raise GitError("The session has no commits", hint="There is nothing to save in a bundle.")
    mine = f"refs/relay/{clone.session_id}/"
    names = bundle_ref_names(ref.removeprefix(mine) for ref in brought.refs)
    wanted = {names[ref.removeprefix(mine)]: commit for ref, commit in brought.refs.items()}
    with trusted_git.scratch_repository(tmp, clone.session_id) as path:
        view = path / "view.git"
        trusted_git.make(view, clone.base)
        trusted_git.write_refs(view, wanted)
        head = f"refs/heads/{brought.branch}" if brought.branch else names.get("detached", "")
        if head in wanted:
            (view / "HEAD").write_text(f"ref: {head}\n")
        made = path / "bundle"
        task.report("Writing the bundle")
        trusted_git.run(
            view,
            *("bundle", "create", "--progress", str(made), *(["HEAD"] if head in wanted else []), "--all"),
            task=task,
            title="The bundle cannot be written",
            env=trusted_git.isolated_environment(),
        )
        try:
            _place(made, target)
            return target.stat().st_size
        except FileExistsError as error:
            raise ConflictError(f"There is something at {target} already", hint="Choose another file.") from error
        except OSError as error:
            raise from_os(error) from error


def _place(made: Path, target: Path) -> None:
    """Let the file appear at `target` whole, or not at all, and never over another one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(made, target)
        return
    if os.path.lexists(target):
        raise FileExistsError(target)
    if not hasattr(os, "O_TMPFILE"):
        shutil.copyfile(made, target)
        return
    descriptor = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY, 0o600)  # a killed relay's is never seen
    with os.fdopen(descriptor, "wb") as writing, made.open("rb") as reading:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())
        os.link(f"/proc/self/fd/{writing.fileno()}", target, follow_symlinks=True)
