"""Running git where nobody can answer a prompt: clean environment, own session, progress read, cancel obeyed."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from relay_tui.adapters.git.pace import Pace
from relay_tui.errors import GitError
from relay_tui.services.watch import Watch

_KEPT = re.compile(
    r"^GIT_(SSL_.*|PROXY_.*|HTTP_.*|SSH_VARIANT|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|ATTR_NOSYSTEM|EXEC_PATH)$"
)
"""How to reach servers, and where the user's config is. Every other GIT_* of the caller is about some other job."""

STRICT_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "gc.auto=0",  # what looks unreachable in a base may be all that a session's eye has
)
"""git's configuration in repositories that relay alone writes."""

_PROMPTING = ("SSH_ASKPASS", "GPG_TTY", "GCM_INTERACTIVE")
_PROGRESS = re.compile(r"^(remote: )?[A-Z][\w ]+:\s+\d+(%| *,|$)")
_KEPT_LINES = 200
_GRACE = 2.0  # seconds between TERM and KILL
_BLINK_MS = 200  # how often the process is looked at when somebody else keeps its stderr open


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a git process ended. `lines` are what it said on stderr, without progress."""

    code: int
    stdout: bytes
    lines: tuple[str, ...]


def environment(protocols: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for git: no prompt, English, no hooks from templates, `protocols` (a:b:c) only."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _PROMPTING and (not name.startswith("GIT_") or _KEPT.match(name))
    }
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",  # empty: neither core.askPass nor SSH_ASKPASS
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "GIT_TEMPLATE_DIR": "",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_LFS_SKIP_SMUDGE": "1",
        **(extra or {}),
    }


def ssh_command() -> dict[str, str]:
    """GIT_SSH_COMMAND: the user's own ssh in batch mode, which fails where it would have asked."""
    command = os.environ.get("GIT_SSH_COMMAND", "")
    if not command:
        command = ask("config", "--get", "core.sshCommand").stdout.decode(errors="replace").strip()
    if not command:
        command = shlex.quote(os.environ.get("GIT_SSH", "") or "ssh")
    return {"GIT_SSH_COMMAND": f"{command} -o BatchMode=yes -o ConnectTimeout=20"}


Start = Callable[[Sequence[str], Mapping[str, str], Sequence[int]], "subprocess.Popen[bytes]"]
"""Starts a command line in an environment with these file descriptors passed on."""


def start(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start git at once, before anything slow is imported."""
    return subprocess.Popen(
        command,
        cwd="/",
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=pass_fds,
    )


def ask(*arguments: str) -> Outcome:
    """Run a short local git command to its end. Raises GitError only when there is no git."""
    require_git()
    done = subprocess.run(
        ("git", *arguments),
        cwd="/",
        env=environment("file"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, tuple(done.stderr.decode(errors="replace").splitlines()))


def work(
    arguments: Sequence[str],
    watch: Watch,
    env: Mapping[str, str],
    *,
    pass_fds: Sequence[int] = (),
    prefix: str = "",
    begin: Start = start,
) -> Outcome:
    """Run a long git command: its progress goes to the watch, stage names after `prefix`. Raises CancelledError."""
    watch.check()
    require_git()
    process = begin(("git", *arguments), env, pass_fds)
    group = _Group(process)
    try:
        with watch.on_cancel(group.end):
            lines = _read(process, Pace(watch) if watch.followed else None, prefix)
            if watch.cancelled:
                group.signal(signal.SIGKILL)  # what the leader left behind
            process.wait()
    finally:
        group.close()
    watch.check()
    return Outcome(process.returncode, b"", lines)


def require_git() -> None:
    """Raise GitError when there is no git."""
    if shutil.which("git") is None:
        raise GitError("git is not installed", "There is no git in $PATH.", "Install it: sudo apt-get install git")


class _Group:
    """A process and all it started, which share a process group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._timer = threading.Timer(_GRACE, self.signal, (signal.SIGKILL,))
        self._timer.daemon = True

    def signal(self, number: int) -> None:
        """Send a signal to all of them, if the leader is not reaped yet."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def end(self) -> None:
        """Ask them to end, and make them a little later."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(RuntimeError):  # begun already
            self._timer.start()

    def close(self) -> None:
        """Leave nothing running, whatever brought us here."""
        self._timer.cancel()
        self.signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


def _read(process: subprocess.Popen[bytes], pace: Pace | None, prefix: str) -> tuple[str, ...]:
    """Hand progress on if there is a pace for it, keep the other lines, until git closes its stderr or is dead."""
    assert process.stderr is not None
    descriptor = process.stderr.fileno()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    parse: Callable[[str], None] | None = None
    rest = b""
    while True:
        if not poller.poll(_BLINK_MS):
            if _ended(process):
                break
            continue
        chunk = os.read(descriptor, 65536)
        *lines, rest = re.split(rb"[\r\n]+", rest + chunk) if chunk else (rest, b"")
        for line in (raw.decode(errors="replace") for raw in lines if raw.strip()):
            if not _PROGRESS.match(line):
                kept.append(line.rstrip())
                continue
            if pace is None:
                continue
            if parse is None:
                from relay_tui.adapters.git.progress import Stages  # GitPython: only when there is progress to read

                parse = Stages(pace, prefix).new_message_handler()
            parse(line)
        if not chunk:
            break
    if pace is not None:
        pace.flush()
    return tuple(kept)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the leader is dead; it is not reaped, so that its group still can be signalled."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
