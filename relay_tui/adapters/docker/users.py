"""User of a container: uid and gid with a name, a home and a git identity, independent of the image."""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from dataclasses import dataclass

from relay_tui.domain.errors import EngineError
from relay_tui.domain.models import Identity

_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,30}")


_NO_HOMES = ("", "/", "/workspace", "/nonexistent", "/dev/null")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Texts of an image's files /etc/passwd, /etc/group and /etc/shells."""

    passwd: str = ""
    group: str = ""
    shells: str = ""

    def user(self, name_or_id: str) -> list[str] | None:
        """Return the seven fields of the passwd entry with this name or uid; None if there is none."""
        return _entry(self.passwd, name_or_id, 7)

    def group_entry(self, name_or_id: str) -> list[str] | None:
        """Return the four fields of the group entry with this name or gid; None if there is none."""
        return _entry(self.group, name_or_id, 4)


@dataclass(frozen=True, slots=True)
class ContainerUser:
    """User of the container. `passwd` and `group` are new texts of the files; None if a file needs no change."""

    uid: int
    gid: int
    name: str
    home: str
    passwd: str | None
    group: str | None


def host_uid_gid(*, rootless: bool) -> tuple[int, int]:
    """Return uid and gid in a container whose files belong to relay's user on the host: 0 if the engine is rootless."""
    return (0, 0) if rootless else (os.getuid(), os.getgid())


def resolve(user_spec: str, accounts: Accounts, *, home: str, image_home: str, identity: Identity) -> ContainerUser:
    """Return the user for 'name', 'uid' or 'uid:gid' ('' is root). Accounts that the image lacks are added.

    `home` is the profile's home directory, `image_home` the image's; '' if not set. Raises EngineError if the image
    has no such user or group.
    """
    user, _, group = (user_spec or "0").partition(":")
    entry = accounts.user(user)
    if entry is None and not user.isdecimal():
        raise EngineError(
            f"The image has no user {user!r}", "", "Set the profile's user to a user of the image, a uid, or uid:gid."
        )
    uid = int(entry[2]) if entry else int(user)
    gid = _gid(group, accounts) if group else int(entry[3]) if entry else 0
    name = entry[0] if entry else _unused_name(uid, accounts)
    home = home or _home(entry, image_home, name)
    passwd = None if entry else _add_passwd_entry(accounts, name, uid, gid, home, identity)
    return ContainerUser(uid, gid, name, home, passwd, _add_group_entry(accounts, name, gid))


def profile_script(path: str) -> str:
    """Return a profile.d script that restores the image's PATH in login shells. Most /etc/profile files replace it."""
    quoted = "'" + path.replace("'", "'\\''") + "'"
    return f'case ":$PATH:" in *:{quoted}:*) ;; *) PATH={quoted}"${{PATH:+:$PATH}}"; export PATH ;; esac\n'


def _entry(text: str, name_or_id: str, fields: int) -> list[str] | None:
    column = 2 if name_or_id.isdecimal() else 0
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == fields and parts[column] == name_or_id and parts[2].isdecimal():
            return parts
    return None


def _gid(group: str, accounts: Accounts) -> int:
    entry = accounts.group_entry(group)
    if entry is not None:
        return int(entry[2])
    if not group.isdecimal():
        raise EngineError(
            f"The image has no group {group!r}", "", "Set the profile's group to a gid or a group of the image."
        )
    return int(group)


def _unused_name(uid: int, accounts: Accounts) -> str:
    login = ""
    if uid == os.getuid():
        with suppress(KeyError):
            login = pwd.getpwuid(uid).pw_name
    names = [name for name in (login, "relay", f"relay{uid}") if _LOGIN.fullmatch(name)]
    return next(name for name in (*names, f"u{uid}") if accounts.user(name) is None)


def _home(entry: list[str] | None, image_home: str, name: str) -> str:
    if image_home.startswith("/") and image_home.rstrip("/") not in _NO_HOMES:
        return image_home.rstrip("/")
    known = entry[5].rstrip("/") if entry else ""
    if known == "/root" or known.startswith(("/root/", "/home/")):
        return known
    return f"/home/{name}"


def _add_passwd_entry(accounts: Accounts, name: str, uid: int, gid: int, home: str, identity: Identity) -> str:
    shell = "/bin/bash" if "/bin/bash" in accounts.shells.split() else "/bin/sh"
    real_name = "".join(" " if character in ":,\n\r" else character for character in identity.name).strip()
    return f"{_with_newline(accounts.passwd)}{name}:x:{uid}:{gid}:{real_name}:{home}:{shell}\n"


def _add_group_entry(accounts: Accounts, name: str, gid: int) -> str | None:
    if accounts.group_entry(str(gid)) is not None:
        return None
    unused = next(
        candidate for candidate in (name, "relay", f"relay{gid}", f"g{gid}") if accounts.group_entry(candidate) is None
    )
    return f"{_with_newline(accounts.group)}{unused}:x:{gid}:\n"


def _with_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
