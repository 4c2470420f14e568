"""User, home and environment of a process session. Its programs run as relay's user."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ", "SHELL", "USER", "LOGNAME")
"""Of our own environment nothing else: it may hold tokens, and sockets of agents that hold keys."""


def environment(home: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a session's programs."""
    name = user_account()[0]
    own = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
    defaults = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": name,
        "LOGNAME": name,
    }
    return {**defaults, **own, "HOME": str(home.resolve()), **env}


def user_account() -> tuple[str, str, str]:
    """Return the user's name, home and shell. A uid may have no entry in the account database."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return str(os.getuid()), os.environ.get("HOME", "/nonexistent"), ""
    return entry.pw_name, entry.pw_dir, entry.pw_shell


def login_shell() -> list[str]:
    """Return the command for a login shell: the user's shell, else bash, else sh."""
    candidates = [user_account()[2], "/bin/bash", "/bin/sh"]
    usable = [s for s in candidates if os.access(s, os.X_OK) and Path(s).name not in {"nologin", "false"}]
    return [usable[0] if usable else "/bin/sh", "-l"]
