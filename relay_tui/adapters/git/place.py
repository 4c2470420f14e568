"""A directory that appears whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay_tui.adapters.git.faults import from_os
from relay_tui.errors import FileSystemError


@contextmanager
def partial(target: Path) -> Iterator[Path]:
    """A free name beside `target`. The block fills it; then it becomes `target`, or vanishes if the block failed.

    `target` may be an empty directory. Raises FileSystemError.
    """
    path = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    made_parent = not target.parent.exists()
    placed = False
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            words = "It exists, and is not an empty directory."
            raise FileSystemError(f"{target} is in the way", words, "Move it away, then try again.")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield path
        path.rename(target)
        placed = True
    except OSError as error:
        raise from_os(error) from error
    except FileSystemError as error:  # git says what the disk refused, but seldom where
        if str(target) not in f"{error.title} {error.detail}":
            error.detail = f"{error.detail}\nin {target}".strip()
        raise
    finally:
        if not placed:
            shutil.rmtree(path, ignore_errors=True)
            if made_parent:
                with contextlib.suppress(OSError):
                    target.parent.rmdir()
