"""Verified copy of the objects that a session's branches have beyond the upstream.

git trusts the file names and pack indexes of an object store, and a session can write its own. Work is reported as safe
to delete only on the evidence of a copy in which git has hashed every object again. A forged object is missing from the
copy, so git fails when it needs the object.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot

_PACK = ("pack-objects", "-q", "--revs", "--window=0", "--no-use-bitmap-index", "--threads=1")


@contextmanager
def copy_verified_objects(snapshot: CloneSnapshot, tips: Sequence[str]) -> Iterator[CloneSnapshot]:
    """Yield the same snapshot, whose session objects are only those reachable from `tips`, hashed again.

    Raises UnknownStateError if the session's store lacks some of their history. So may each query in the block.
    """
    store = snapshot.git.shadow_dir / f"verified-{secrets.token_hex(4)}"
    try:
        pack = store / "pack"
        pack.mkdir(mode=0o700, parents=True)
        writing = replace(snapshot.git, output_store=store)
        writing.run(*_PACK, str(pack / "pack"), stdin=snapshot.exclude_fetched(list(tips)))
        reading = replace(snapshot.git, object_store=store)
        for claimed in (*pack.glob("*.idx"), *pack.glob("*.rev")):
            claimed.unlink()  # they name objects as the session's store did
        for packed in pack.glob("*.pack"):
            reading.run("index-pack", "--threads=1", str(packed), base_only=True)
        yield replace(snapshot, git=reading)
    except OSError as error:
        raise filesystem_error(error, "Cannot verify the session's objects", store) from error
    finally:
        shutil.rmtree(store, ignore_errors=True)
