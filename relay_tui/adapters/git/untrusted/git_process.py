"""git on a session's clone: run from the shadow repository, in a sandbox, with limits.

Of the session's own git directory, git sees only the objects.
"""

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

from relay_tui.adapters.git.untrusted.files import read_error
from relay_tui.adapters.git.untrusted.sandbox import MEMORY, Sandbox, SandboxPaths
from relay_tui.domain.errors import GitError

MOST_OUTPUT = 256 << 20  # bytes
_MOST_STDERR = 16 << 10  # bytes
_CHECK_INTERVAL = 0.4  # seconds between checks whether a running git waits for a pipe
_PIPE_CHANNELS = ("wait_for_partner", "fifo_open", "pipe_read", "pipe_wait", "anon_pipe_read")
"""Kernel functions in which a process sleeps that opened a named pipe. It would never return from them."""

_HARMLESS = re.compile(r"warning: (exhaustive|inexact) rename detection was skipped|warning: you may want to set your ")
"""git's warnings for renamed files that it reported as new ones: the output is complete."""

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
    *("-c", "core.safecrlf=false"),  # otherwise git warns about line ends, and a warning counts as a failure
    *("-c", "gc.auto=0"),
)


@dataclass(frozen=True, slots=True)
class SandboxedGit:
    """Sandboxed git for one clone: its shadow repository, work tree, object store and base clone."""

    shadow_dir: Path
    work_dir: Path
    base: Path
    timeout: float
    """Seconds that one git command may take."""
    sandbox: Sandbox
    object_store: Path | None = None
    """Object directory to read in place of the session's own."""
    output_store: Path | None = None
    """Object directory for the objects that git writes."""

    def start(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: str = "index",
        success: Collection[int] = (0,),
        base_only: bool = False,
    ) -> GitProcess:
        """Start git.

        `index` names a file of the shadow repository, `success` the exit codes of success. With `base_only` git
        sees the base clone's objects and none of the session's. Raises UnknownStateError if git cannot be started.
        """
        paths = SandboxPaths((self.work_dir, self.base / "objects"), self.shadow_dir)
        command = (_git(), *_OPTIONS, *arguments)
        try:
            process = self.sandbox.start(command, self._environment(index, base_only), paths)
        except OSError as error:
            raise read_error(f"git cannot be started: {error.strerror}.") from error
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            for limit, most in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CORE, 0)):
                resource.prlimit(process.pid, limit, (most, most))
        return GitProcess(process, _command(arguments), stdin, time.monotonic() + self.timeout, success)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: str = "index",
        success: Collection[int] = (0,),
        base_only: bool = False,
    ) -> bytes:
        """Run git and return its output. The arguments are those of start()."""
        return self.start(*arguments, stdin=stdin, index=index, success=success, base_only=base_only).result()

    def _environment(self, index: str, base_only: bool) -> Mapping[str, str]:
        stores = [] if base_only else [self.object_store or self.work_dir / ".git/objects"]
        if self.output_store:  # it replaces the shadow repository's object directory, which links to the base's
            stores.append(self.base / "objects")
        return {
            **({"GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(map(_quoted, stores))} if stores else {}),
            **({"GIT_OBJECT_DIRECTORY": str(self.output_store)} if self.output_store else {}),
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "GIT_DIR": str(self.shadow_dir),
            "GIT_WORK_TREE": str(self.work_dir),
            "GIT_INDEX_FILE": str(self.shadow_dir / index),
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
    """Running git command. The caller must call result(), first() or kill()."""

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, stdin: bytes, deadline: float, success: Collection[int]
    ) -> None:
        self._process = process
        self._name = name
        self._stdin = memoryview(stdin)
        self._deadline = deadline
        self._success = success
        self._out = bytearray()
        self._err = bytearray()

    def result(self) -> bytes:
        """Return the whole output.

        Raises UnknownStateError if git failed, wrote to stderr, crashed, or took too long.
        """
        data, cut = self.first(MOST_OUTPUT)
        if cut:
            raise read_error(f"git {self._name} wrote more than {MOST_OUTPUT >> 20} MiB.")
        return data

    def first(self, most: int) -> tuple[bytes, bool]:
        """Return the first `most` bytes of the output, and whether there was more. Raises like result()."""
        try:
            self._pump(most)
            cut = len(self._out) > most
            if not cut:
                self._check(self._wait())
            return bytes(self._out[:most]), cut
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the process group if it still runs, and close the pipes."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _pump(self, most: int) -> None:
        """Write stdin and read the output until git closes it, exceeds `most` bytes, or exceeds the timeout."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        next_check = time.monotonic() + _CHECK_INTERVAL
        with selectors.DefaultSelector() as selector:
            if self._stdin:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            else:
                process.stdin.close()
            selector.register(process.stdout, selectors.EVENT_READ, self._out)
            selector.register(process.stderr, selectors.EVENT_READ, self._err)
            while len(selector.get_map()) and len(self._out) <= most:
                now = time.monotonic()
                if now >= self._deadline:
                    raise self._timeout_error()
                if now >= next_check:
                    if not self._stdin:  # otherwise git may be waiting for its stdin, which is a pipe too
                        self._refuse_pipes()
                    next_check = now + _CHECK_INTERVAL
                for key, _ in selector.select(min(next_check, self._deadline) - now):
                    if key.fileobj is process.stdin:
                        self._feed(selector, process.stdin)
                    elif not (piece := os.read(key.fd, 1 << 18)):
                        selector.unregister(key.fileobj)
                    elif key.data is self._out or len(self._err) < _MOST_STDERR:
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
            raise self._timeout_error() from error

    def _check(self, code: int) -> None:
        lines = self._err.decode(errors="replace").splitlines()
        message = " ".join(" ".join(line for line in lines if not _HARMLESS.match(line)).split())[:500]
        if code < 0:
            raise read_error(f"git {self._name} was killed by signal {-code}. {message}".strip())
        if message:
            raise read_error(f"git {self._name} failed: {message}")
        if code not in self._success:
            raise read_error(f"git {self._name} ended with exit code {code}.")

    def _timeout_error(self) -> GitError:
        return read_error(f"git {self._name} took too long.")

    def _refuse_pipes(self) -> None:
        """Raise UnknownStateError if git waits for a named pipe that the session put in place of a file."""
        with contextlib.suppress(OSError):
            if any(found in _PIPE_CHANNELS for found in _channels(self._process.pid)):
                raise read_error(f"git {self._name} stopped at a named pipe in place of a file.")


def _channels(pid: int) -> list[str]:
    """Return the kernel functions in which the process and its children sleep: bubblewrap runs git as a child."""
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
    """Quote one entry of git's list of directories if it contains a colon or starts with a quote."""
    text = str(path)
    if ":" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _command(arguments: tuple[str, ...]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")
