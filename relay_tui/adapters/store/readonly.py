"""Read-only access to the store file, for shell completion: no TinyDB, no locks, no repairs."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from relay_tui.adapters.store.codec import DecodeError, Row, decode_project, decode_session
from relay_tui.domain.errors import StoreError
from relay_tui.domain.models import Project, Records, Session

_Record = TypeVar("_Record", Project, Session)
_AGE = attrgetter("created_at", "id")


_HINT = "Run relay doctor."


def read_records(path: Path) -> Records:
    """Return the records in the store file at `path`; none if there is no file.

    Rows that cannot be decoded are left out. Nothing is written, and the call never waits for another relay. Raises
    StoreError if the file cannot be read or is no store.
    """
    try:
        tables = json.loads(_content(path))
    except FileNotFoundError:
        return Records()
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError("Cannot read the store", str(error), _HINT) from error
    if not isinstance(tables, dict):
        raise StoreError("Cannot read the store", f"{path} holds no JSON object.", _HINT)
    return Records(_decoded(tables.get("projects"), decode_project), _decoded(tables.get("sessions"), decode_session))


def _content(path: Path) -> bytes:
    """Return the content of a regular file. Opening a pipe without O_NONBLOCK would wait for its writer."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123  # a descriptor
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file.")
        return file.read()


def _decoded(table: object, decode_row: Callable[[Row], _Record]) -> Mapping[str, _Record]:
    """Return the records of one table by id, oldest first."""
    found = []
    for row in table.values() if isinstance(table, dict) else ():
        try:
            found.append(decode_row(row))
        except (DecodeError, AttributeError):  # AttributeError: the row is no object
            continue
    return MappingProxyType({record.id: record for record in sorted(found, key=_AGE)})
