"""A copy of what a session's branches have beyond the upstream, in which every object is what its name says.

git believes a store's file names and pack indexes, and a session writes its own. What is called safe to lose is
therefore told by a copy that git has hashed again; what was forged is missing there, and git fails when it comes to it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from relay_tui.adapters.filesystem.atomic import from_os
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot

_PACK = ("pack-objects", "-q", "--revs", "--window=0", "--no-use-bitmap-index", "--threads=1")


@contextmanager
def copy_verified_objects(view: CloneSnapshot, tips: Sequence[str]) -> Iterator[CloneSnapshot]:
    """The same look, with nothing of the session's own store but what lies behind `tips`, hashed again.

    Raises UnknownStateError where the store holds no whole history of theirs, and so may every question in the block.
    """
    store = view.sight.eye / f"verified-{secrets.token_hex(4)}"
    try:
        pack = store / "pack"
        pack.mkdir(mode=0o700, parents=True)
        sight = replace(view.sight, writes=store)
        sight.git(*_PACK, str(pack / "pack"), stdin=view.without_fetched(list(tips)))
        sure = replace(view.sight, reads=store)
        for claimed in (*pack.glob("*.idx"), *pack.glob("*.rev")):
            claimed.unlink()  # names by what the session said
        for packed in pack.glob("*.pack"):
            sure.git("index-pack", "--threads=1", str(packed), alone=True)
        yield replace(view, sight=sure)
    except OSError as error:
        raise from_os(error) from error
    finally:
        shutil.rmtree(store, ignore_errors=True)
