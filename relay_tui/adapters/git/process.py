"""Run git without prompts: clean environment, own process group, progress reports, cancellation."""

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

from relay_tui.adapters.git.throttle import ProgressThrottle
from relay_tui.domain.errors import GitError
from relay_tui.ports.task import TaskContext

_KEPT = re.compile(
    r"^GIT_(SSL_.*|PROXY_.*|HTTP_.*|SSH_VARIANT|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|ATTR_NOSYSTEM|EXEC_PATH)$"
)
"""Variables for reaching servers and finding the user's configuration. Other GIT_* variables belong to the caller."""

STRICT_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "gc.auto=0",  # objects that look unreachable in a base clone may be in use by a session's shadow repository
)
"""git settings for repositories that only relay writes."""

_PROMPTING = ("SSH_ASKPASS", "GPG_TTY", "GCM_INTERACTIVE")
_PROGRESS = re.compile(r"^(remote: )?[A-Z][\w ]+:\s+\d+(%| *,|$)")
_KEPT_LINES = 200
_GRACE = 2.0  # seconds between TERM and KILL
_BLINK_MS = 200  # milliseconds between checks of a process whose stderr another process keeps open


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a git process. `lines` is its stderr without progress lines."""

    code: int
    stdout: bytes
    lines: tuple[str, ...]


def environment(protocols: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for git: no prompts, English, no template hooks, only `protocols` (a:b:c)."""
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
    """Return GIT_SSH_COMMAND: the user's own ssh in batch mode, which fails instead of asking."""
    command = os.environ.get("GIT_SSH_COMMAND", "")
    if not command:
        command = run_git_capture("config", "--get", "core.sshCommand").stdout.decode(errors="replace").strip()
    if not command:
        command = shlex.quote(os.environ.get("GIT_SSH", "") or "ssh")
    return {"GIT_SSH_COMMAND": f"{command} -o BatchMode=yes -o ConnectTimeout=20"}


Start = Callable[[Sequence[str], Mapping[str, str], Sequence[int]], "subprocess.Popen[bytes]"]
"""Function that starts a command in an environment and passes on the given file descriptors."""


def spawn_git(command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start git in its own process group."""
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


def run_git_capture(*arguments: str) -> Outcome:
    """Run a short local git command to its end. Raises GitError only if git is not installed."""
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


def run_git(
    arguments: Sequence[str],
    task: TaskContext,
    env: Mapping[str, str],
    *,
    pass_fds: Sequence[int] = (),
    prefix: str = "",
    begin: Start = spawn_git,
) -> Outcome:
    """Run a long git command, reporting progress to `task` with stage names after `prefix`. Raises CancelledError."""
    task.raise_if_cancelled()
    require_git()
    process = begin(("git", *arguments), env, pass_fds)
    group = _Group(process)
    try:
        with task.on_cancel(group.end):
            lines = _read(process, ProgressThrottle(task) if task.has_listener else None, prefix)
            if task.cancelled:
                group.signal(signal.SIGKILL)  # processes that outlived git itself
            process.wait()
    finally:
        group.close()
    task.raise_if_cancelled()
    return Outcome(process.returncode, b"", lines)


def require_git() -> None:
    """Raise GitError if git is not installed."""
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
        with contextlib.suppress(RuntimeError):  # started already
            self._timer.start()

    def close(self) -> None:
        """Leave no process running."""
        self._timer.cancel()
        self.signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


def _read(process: subprocess.Popen[bytes], pace: ProgressThrottle | None, prefix: str) -> tuple[str, ...]:
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
                from relay_tui.adapters.git.progress import ProgressParser

                parse = ProgressParser(pace, prefix).new_message_handler()
            parse(line)
        if not chunk:
            break
    if pace is not None:
        pace.flush()
    return tuple(kept)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the group leader is dead. It is not reaped, so that the group can still be signalled."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
