"""Diagnose an unreachable engine: the cause and the command that fixes it."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import shutil
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from relay_tui.adapters.docker.connection.address import DEFAULT, THE_DEFAULT, Address
from relay_tui.domain.errors import EngineUnreachableError, UnreachableReason

TITLE = "The engine does not answer"
INSTALL = 'sudo apt-get install docker.io && sudo usermod -aG docker "$USER"   # then log in again'
_SYSTEMD = Path("/run/systemd/system")
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
_USUAL = Path(DEFAULT.removeprefix("unix://"))


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    reason: UnreachableReason
    text: str
    fix: str


def unreachable_error(
    cause: Exception, address: Address | None, environ: Mapping[str, str] = os.environ
) -> EngineUnreachableError:
    """Return the error for a failed connection: the system's message, the cause on this machine, and the fix."""
    url = address.url if address else "the engine"
    found = (
        _diagnose(cause, address, environ)
        if address
        else _Diagnosis(UnreachableReason.UNKNOWN, "The reason is unknown", "docker info")
    )
    return EngineUnreachableError(
        TITLE,
        f"{url}: {_cause_text(cause)}",
        f"{found.text}: {found.fix}",
        silence=found.reason,
        why=found.text,
        fix=found.fix,
    )


def _diagnose(cause: Exception, address: Address, environ: Mapping[str, str]) -> _Diagnosis:
    here = _LocalEngine(address, environ)
    if isinstance(cause, ssl.SSLError):
        fix = 'ls -l "${DOCKER_CERT_PATH:-$HOME/.docker}"   # ca.pem, cert.pem, key.pem'
        return _Diagnosis(
            UnreachableReason.ASTRAY, f"The certificates of {address.origin} do not match the engine's", fix
        )
    if not address.local:
        text = f"relay needs an engine on this machine, but {address.origin} names one on {address.host}"
        return _Diagnosis(UnreachableReason.REMOTE, text, here.undo)
    if isinstance(cause, socket.gaierror):
        return _Diagnosis(UnreachableReason.ASTRAY, f"{address.origin} names an unknown host", here.undo)
    if isinstance(cause, TimeoutError):
        return _Diagnosis(UnreachableReason.MUTE, "A program listens at this address but does not answer", here.restart)
    if address.scheme != "unix" and not isinstance(cause, ConnectionResetError):
        text = f"No engine listens at the address from {address.origin}"
        return _Diagnosis(UnreachableReason.ASTRAY, text, here.undo)
    number = cause.errno if isinstance(cause, OSError) else None
    if number in (errno.EACCES, errno.EPERM):
        return _forbidden(here)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return _missing(here)
    if number == errno.ECONNREFUSED:
        return _Diagnosis(
            UnreachableReason.STOPPED, f"{here.engine} is not running; its socket still exists", here.restart
        )
    if isinstance(cause, HTTPException) or "HTTP" in str(cause):
        return _Diagnosis(UnreachableReason.ASTRAY, "The program at this address is not a container engine", here.undo)
    return _Diagnosis(UnreachableReason.STOPPED, f"{here.engine} ended before it answered", here.restart)


def _missing(here: _LocalEngine) -> _Diagnosis:
    """Diagnose a socket that does not exist."""
    other = next((path for path in here.own_sockets if path.is_socket()), None)
    if here.is_usual:
        if other is not None:
            text, fix = (
                "Your own engine is running, but docker is not configured to use it",
                f"export DOCKER_HOST=unix://{other}",
            )
            return _Diagnosis(UnreachableReason.ASTRAY, text, fix)
        if here.has_rootless:
            return _Diagnosis(UnreachableReason.STOPPED, "Rootless docker is installed but not running", here.start_own)
        if here.has("dockerd"):
            return _Diagnosis(UnreachableReason.STOPPED, "Docker is installed but not running", here.start)
        return _Diagnosis(UnreachableReason.MISSING, "No container engine is installed", INSTALL)
    if here.is_own:
        text = f"{here.engine}, which {here.origin} names, is not running"
        return _Diagnosis(UnreachableReason.STOPPED, text, here.start_own)
    return _Diagnosis(UnreachableReason.ASTRAY, f"The socket from {here.origin} does not exist", here.undo)


def _forbidden(here: _LocalEngine) -> _Diagnosis:
    """Diagnose a socket that this user may not use."""
    path = Path(here.address.path)
    try:
        group = path.stat().st_gid
    except OSError:  # inaccessible: the socket is in another user's private directory
        return _Diagnosis(UnreachableReason.FORBIDDEN, f"You may not enter the directory of {path}", here.undo)
    if not here.is_usual and not here.is_system:
        return _Diagnosis(UnreachableReason.FORBIDDEN, f"You may not use the socket from {here.origin}", here.undo)
    name = _group_name(group)
    if name in {"", "root"}:
        fix = f'sudo groupadd -f docker && sudo usermod -aG docker "$USER" && {here.restart}   # then log in again'
        return _Diagnosis(UnreachableReason.FORBIDDEN, "Only root may use the engine's socket", fix)
    if name in _pending_groups():
        text = f"You were added to the group {name} after this login"
        return _Diagnosis(UnreachableReason.FORBIDDEN, text, f"newgrp {name}   # or log in again")
    fix = f'sudo usermod -aG {name} "$USER"   # then log in again'
    return _Diagnosis(UnreachableReason.FORBIDDEN, f"Only members of the group {name} may use the engine's socket", fix)


@dataclass(frozen=True)
class _LocalEngine:
    """State of this machine that explains why the engine does not answer."""

    address: Address
    environ: Mapping[str, str]

    @property
    def origin(self) -> str:
        return self.address.origin

    @property
    def is_usual(self) -> bool:
        """Whether the address is the default one."""
        return self.origin == THE_DEFAULT or Path(self.address.path) in {_USUAL, Path("/run/docker.sock")}

    @property
    def is_system(self) -> bool:
        """Whether a system service would listen at the address."""
        return self.address.path.startswith(("/run/", "/var/run/")) and not self.is_own

    @property
    def _run(self) -> Path:
        return Path(self.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")

    @property
    def own_sockets(self) -> tuple[Path, ...]:
        """Sockets of a rootless engine of this user."""
        return (self._run / "docker.sock", self._run / "podman/podman.sock")

    @property
    def is_own(self) -> bool:
        """Whether the address is a socket of this user's rootless engine."""
        return Path(self.address.path) in self.own_sockets

    @property
    def _podman(self) -> bool:
        return "podman" in self.address.path

    @property
    def engine(self) -> str:
        """Name of the engine for messages."""
        if not self.is_own:
            return "The engine"
        return "Podman" if self._podman else "Rootless docker"

    @property
    def has_rootless(self) -> bool:
        """Whether this user has a systemd service for a rootless engine."""
        config = Path(self.environ.get("XDG_CONFIG_HOME") or Path(self.environ.get("HOME") or "/") / ".config")
        return (config / "systemd/user/docker.service").is_file()

    def has(self, program: str) -> bool:
        """Return whether a program is installed. Daemons are in directories outside an ordinary $PATH."""
        return shutil.which(program, path=f"{self.environ.get('PATH', os.defpath)}{_SBIN}") is not None

    @property
    def undo(self) -> str:
        """Command that removes the setting that names the engine."""
        if self.origin == "$DOCKER_HOST":
            return "unset DOCKER_HOST"
        if self.origin == THE_DEFAULT:
            return self.start
        return "unset DOCKER_CONTEXT" if self.environ.get("DOCKER_CONTEXT") else "docker context use default"

    @property
    def start(self) -> str:
        """Command that starts the system's engine."""
        return "sudo systemctl start docker" if _SYSTEMD.is_dir() else "sudo service docker start"

    @property
    def start_own(self) -> str:
        """Command that starts this user's rootless engine."""
        unit = "podman.socket" if self._podman else "docker"
        if _SYSTEMD.is_dir():
            return f"systemctl --user start {unit}"
        return "podman system service --time 0 &" if self._podman else "dockerd-rootless.sh &"

    @property
    def restart(self) -> str:
        """Command that restarts the engine."""
        if self.is_own:
            return self.start_own.replace(" start ", " restart ")
        if self.is_usual or self.is_system:
            return self.start.replace(" start", " restart")
        return f"{self.undo}   # sudo ss -xlp | grep {shlex.quote(self.address.path)} shows the listener"


def _group_name(number: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return ""


def _pending_groups() -> set[str]:
    """Return groups that the account database gives this user, but that this process does not have yet."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return set()
    own = {os.getegid(), *os.getgroups()}
    return {group.gr_name for group in grp.getgrall() if user in group.gr_mem and group.gr_gid not in own}


def _cause_text(cause: Exception) -> str:
    if isinstance(cause, ssl.SSLError):
        return str(cause)
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[:1].lower() + cause.strerror[1:]
    return str(cause)
