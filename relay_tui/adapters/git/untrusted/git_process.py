"""Running git on a clone: in the eye, with nothing of the session's own but objects, within walls and limits."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from relay_tui.adapters.git.untrusted import sandbox
from relay_tui.adapters.git.untrusted.files import read_error
from relay_tui.domain.errors import GitError

MOST_OUTPUT = 256 << 20
_MOST_STDERR = 16 << 10
_FIRST_GLANCE = 0.4  # seconds until a git that is still running is looked at
_WAITING = ("wait_for_partner", "fifo_open", "pipe_read", "pipe_wait", "anon_pipe_read")
"""Where the kernel holds a process that opened a named pipe: nobody will ever write into it."""

_HARMLESS = re.compile(r"warning: (exhaustive|inexact) rename detection was skipped|warning: you may want to set your ")
"""What git says when it took files for new ones that were renamed: nothing is missing."""

_OPTIONS = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "core.excludesFile=/dev/null"),
    *("-c", "core.commitGraph=false"),
    *("-c", "core.multiPackIndex=false"),
    *("-c", "core.quotePath=false"),
    *("-c", "core.packedGitLimit=1g"),
    *("-c", "core.packedGitWindowSize=64m"),
    *("-c", "protocol.allow=never"),
    *("-c", "submodule.recurse=false"),
    *("-c", "core.bigFileThreshold=8m"),
    *("-c", "core.safecrlf=false"),  # else it warns of line ends, on stderr
    *("-c", "gc.auto=0"),
)


@dataclass(frozen=True, slots=True)
class SandboxedGit:
    """Everything git needs to look at one clone: the eye, the work tree, its objects and the base's."""

    eye: Path
    work_dir: Path
    base: Path
    patience: float
    """Seconds that one git command may take."""
    walls: sandbox.Sandbox
    reads: Path | None = None
    """Objects to look at in place of the session's own."""
    writes: Path | None = None
    """Where git puts objects that it makes."""

    def begin(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: str = "index",
        fine: Collection[int] = (0,),
        alone: bool = False,
    ) -> GitProcess:
        """Start git; `index` names a file of the eye, `fine` the exit codes of success.

        `alone` shows it the base's objects and none of the session's.
        """
        room = sandbox.SandboxPaths((self.work_dir, self.base / "objects"), self.eye)
        command = (_git(), *_OPTIONS, *arguments)
        try:
            process = self.walls.start(command, self._environment(index, alone), room)
        except OSError as error:
            raise read_error(f"git cannot be started: {error.strerror}.") from error
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            for limit, most in ((resource.RLIMIT_DATA, sandbox.MEMORY), (resource.RLIMIT_CORE, 0)):
                resource.prlimit(process.pid, limit, (most, most))
        return GitProcess(process, _command(arguments), stdin, time.monotonic() + self.patience, fine)

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: str = "index",
        fine: Collection[int] = (0,),
        alone: bool = False,
    ) -> bytes:
        """The same, and wait for its output."""
        return self.begin(*arguments, stdin=stdin, index=index, fine=fine, alone=alone).result()

    def _environment(self, index: str, alone: bool) -> Mapping[str, str]:
        stores = [] if alone else [self.reads or self.work_dir / ".git/objects"]
        if self.writes:  # the eye's own objects, and with them the base's, are out of git's sight then
            stores.append(self.base / "objects")
        return {
            **({"GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(map(_quoted, stores))} if stores else {}),
            **({"GIT_OBJECT_DIRECTORY": str(self.writes)} if self.writes else {}),
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "GIT_DIR": str(self.eye),
            "GIT_WORK_TREE": str(self.work_dir),
            "GIT_INDEX_FILE": str(self.eye / index),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }


class GitProcess:
    """A git that was started. result() must be called, or end()."""

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, stdin: bytes, deadline: float, fine: Collection[int]
    ) -> None:
        self._process = process
        self._name = name
        self._stdin = memoryview(stdin)
        self._deadline = deadline
        self._fine = fine
        self._out = bytearray()
        self._said = bytearray()

    def result(self) -> bytes:
        """All that it wrote. Raises UnknownStateError when it failed, complained, crashed or took too long."""
        data, cut = self.first(MOST_OUTPUT)
        if cut:
            raise read_error(f"git {self._name} wrote more than {MOST_OUTPUT >> 20} MiB.")
        return data

    def first(self, most: int) -> tuple[bytes, bool]:
        """The first `most` bytes of what it writes, and whether there was more."""
        try:
            self._pump(most)
            cut = len(self._out) > most
            if not cut:
                self._judge(self._wait())
            return bytes(self._out[:most]), cut
        finally:
            self.end()

    def end(self) -> None:
        """Leave nothing running."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _pump(self, most: int) -> None:
        """Feed and read it until it closes its output, has written too much, or its time is up."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        glance = time.monotonic() + _FIRST_GLANCE
        with selectors.DefaultSelector() as selector:
            if self._stdin:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            else:
                process.stdin.close()
            selector.register(process.stdout, selectors.EVENT_READ, self._out)
            selector.register(process.stderr, selectors.EVENT_READ, self._said)
            while len(selector.get_map()) and len(self._out) <= most:
                moment = time.monotonic()
                if moment >= self._deadline:
                    raise self._too_long()
                if moment >= glance:
                    if not self._stdin:  # else it may well wait for us
                        self._glance()
                    glance = moment + _FIRST_GLANCE
                for key, _ in selector.select(min(glance, self._deadline) - moment):
                    if key.fileobj is process.stdin:
                        self._feed(selector, process.stdin)
                    elif not (piece := os.read(key.fd, 1 << 18)):
                        selector.unregister(key.fileobj)
                    elif key.data is self._out or len(self._said) < _MOST_STDERR:
                        key.data.extend(piece)

    def _feed(self, selector: selectors.BaseSelector, pipe: IO[bytes]) -> None:
        try:
            self._stdin = self._stdin[os.write(pipe.fileno(), self._stdin[: 1 << 16]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._stdin = self._stdin[:0]
        if not self._stdin:
            selector.unregister(pipe)
            pipe.close()

    def _wait(self) -> int:
        try:
            return self._process.wait(timeout=max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise self._too_long() from error

    def _judge(self, code: int) -> None:
        lines = self._said.decode(errors="replace").splitlines()
        said = " ".join(" ".join(line for line in lines if not _HARMLESS.match(line)).split())[:500]
        if code < 0:
            raise read_error(f"git {self._name} was ended by signal {-code}. {said}".strip())
        if said:
            raise read_error(f"git {self._name} complained: {said}")
        if code not in self._fine:
            raise read_error(f"git {self._name} ended with exit code {code}.")

    def _too_long(self) -> GitError:
        return read_error(f"git {self._name} took too long.")

    def _glance(self) -> None:
        """Do not wait for a git that waits for a pipe which stands in for a file."""
        with contextlib.suppress(OSError):
            if any(found in _WAITING for found in _channels(self._process.pid)):
                raise read_error(f"git {self._name} was held up by a pipe that stands where a file should be.")


def _channels(pid: int) -> list[str]:
    """Where in the kernel the process sleeps, or those in its session if it is only a wrapper."""
    found = [(Path("/proc") / str(pid) / "wchan").read_text()]
    with contextlib.suppress(OSError):
        for child in (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split():
            found += _channels(int(child))
    return found


def _git() -> str:
    found = shutil.which("git")
    if found is None:
        raise GitError("git is not installed", "There is no git in $PATH.", "Install it: sudo apt-get install git")
    return found


def _quoted(path: Path) -> str:
    """As git takes one entry of a list of directories: a colon, or a quote at its beginning, needs quoting."""
    text = str(path)
    if ":" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _command(arguments: tuple[str, ...]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")
