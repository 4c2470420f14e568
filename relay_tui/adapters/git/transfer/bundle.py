"""A session's work as a git bundle: one file that git can clone."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import USER_PATH_HINT, filesystem_error, translate_os_errors
from relay_tui.adapters.git.transfer import trusted_git
from relay_tui.adapters.git.transfer.importer import ImportedRefs
from relay_tui.domain.errors import ConflictError, GitError
from relay_tui.domain.transfers import bundle_ref_names
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext


def write_bundle(clone: SessionClone, imported: ImportedRefs, target: Path, tmp: Path, task: TaskContext) -> int:
    """Write the imported refs with their whole history to `target`; return the size in bytes.

    Raises ConflictError if `target` exists, FileSystemError if it cannot be written.
    """
    if os.path.lexists(target):
        raise _exists_error(target)
    if not imported.refs:
        raise GitError("The session has no commits", hint="There is nothing to save in a bundle.")
    prefix = f"refs/relay/{clone.session_id}/"
    names = bundle_ref_names(ref.removeprefix(prefix) for ref in imported.refs)
    wanted = {names[ref.removeprefix(prefix)]: commit for ref, commit in imported.refs.items()}
    title = f"Cannot write the bundle {target}"
    with trusted_git.scratch_directory(tmp, clone.session_id) as path:
        repository = path / "bundled.git"
        trusted_git.create_repository(repository, clone.base)
        trusted_git.write_refs(repository, wanted)
        head = f"refs/heads/{imported.branch}" if imported.branch else names.get("detached", "")
        if head in wanted:
            (repository / "HEAD").write_text(f"ref: {head}\n")
        bundle = path / "bundle"
        task.report("Writing the bundle")
        trusted_git.run(
            repository,
            *("bundle", "create", "--progress", str(bundle), *(["HEAD"] if head in wanted else []), "--all"),
            task=task,
            title=title,
            env=trusted_git.isolated_environment(),
        )
        with translate_os_errors(title, target, USER_PATH_HINT):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _publish(bundle, target)
            return target.stat().st_size
        except FileExistsError as error:
            raise _exists_error(target) from error
        except OSError as error:
            raise filesystem_error(error, title, target, USER_PATH_HINT) from error


def _exists_error(target: Path) -> ConflictError:
    return ConflictError(f"{target} exists already", hint="Choose another file.")


def _publish(bundle: Path, target: Path) -> None:
    """Make the file appear at `target` complete or not at all. Raises FileExistsError if there is a file."""
    with suppress(OSError):
        os.link(bundle, target)
        return
    if os.path.lexists(target):
        raise FileExistsError(target)
    if not hasattr(os, "O_TMPFILE"):
        shutil.copyfile(bundle, target)
        return
    parent = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # a file without a name: if relay is killed now, nothing remains
        descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o600, dir_fd=parent)
        with os.fdopen(descriptor, "wb") as writing, bundle.open("rb") as reading:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            os.fsync(writing.fileno())
            # os.link() follows the link in /proc only with a dir_fd: without one Python calls link(2), which fails
            os.link(f"/proc/self/fd/{writing.fileno()}", target.name, dst_dir_fd=parent, follow_symlinks=True)
    finally:
        os.close(parent)
