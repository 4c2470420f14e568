"""Real repositories and real git servers on loopback, for tests that clone."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

_ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_ALLOW_PROTOCOL": "file",
    "LC_ALL": "C.UTF-8",
}
_BLOCK = 16384


def run_git(*arguments: str, cwd: Path, stdin: bytes = b"") -> str:
    """Run git untouched by the host's configuration; answer its output, stripped."""
    done = subprocess.run(("git", *arguments), cwd=cwd, env=_ENV, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace").strip()


def make_repository(
    path: Path,
    *,
    branches: Sequence[str] = ("main",),
    files: Mapping[str, str | bytes] | None = None,
    tags: Sequence[str] = (),
    bare: bool = False,
) -> Path:
    """Make a repository at `path`. The first branch is the default one and holds `files`.

    Each further branch is one commit newer than the one before it, and starts at the first, with a file `branch.txt`
    that holds its name. Tags point at the first branch's commit. No branches: a repository without commits.
    """
    default = branches[0] if branches else "main"
    path.mkdir(parents=True)
    run_git("init", "--quiet", f"--initial-branch={default}", *(["--bare"] if bare else []), ".", cwd=path)
    stream = bytearray()
    for number, branch in enumerate(branches):
        message = f"Work on {branch}".encode()
        committer = f"Ada <ada@example.org> {1_700_000_000 + number} +0000"
        stream += f"commit refs/heads/{branch}\ncommitter {committer}\n".encode()
        stream += b"data %d\n%b\n" % (len(message), message)
        if number:
            stream += f"from refs/heads/{default}\n".encode()
        content = {"branch.txt": branch} if number else files if files is not None else {"README.md": "# Hello\n"}
        for name, text in content.items():
            data = text.encode() if isinstance(text, str) else text
            stream += f"M 644 inline {name}\n".encode() + b"data %d\n%b\n" % (len(data), data)
    for tag in tags:
        stream += f"reset refs/tags/{tag}\nfrom refs/heads/{default}\n\n".encode()
    if stream:
        run_git("fast-import", "--quiet", cwd=path, stdin=bytes(stream))
        if not bare:
            run_git("reset", "--hard", "--quiet", cwd=path)
    return path


def free_port() -> int:
    """A port of loopback where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def git_daemon(root: Path) -> Iterator[str]:
    """Serve every repository below `root` by the git protocol; yields the address of `root`."""
    port = free_port()
    process = subprocess.Popen(
        ("git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", "--export-all"),
        env={**_ENV, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "git daemon did not come up"
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


@contextmanager
def black_hole() -> Iterator[int]:
    """Open a port that accepts connections and never answers. Yields its number."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@dataclass
class HttpGit:
    """A running http server: its address with and without a login, and how to hold its answers back."""

    url: str
    username: str
    password: str
    hold_after: int | None
    requests: list[str] = field(default_factory=list)
    holding: threading.Event = field(default_factory=threading.Event)
    """Set once an answer is being held back."""
    _go: threading.Event = field(default_factory=threading.Event)

    def login(self, path: str, username: str | None = None, password: str | None = None) -> str:
        """The address of the repository at `path`, with a user name and password in it."""
        user = self.username if username is None else username
        word = self.password if password is None else password
        return self.url.replace("://", f"://{quote(user, safe='')}:{quote(word, safe='')}@", 1) + f"/{path}"

    def release(self) -> None:
        """Let held answers go on."""
        self._go.set()

    def paced(self, sent: int, rate: int | None) -> None:
        """Delay the answer after `sent` bytes, as configured for this server."""
        if self.hold_after is not None and sent >= self.hold_after:
            self.holding.set()
            self._go.wait(60)
        if rate is not None:
            self._go.wait(_BLOCK / rate)


@contextmanager
def http_server(
    root: Path,
    *,
    username: str = "",
    password: str = "",
    hold_after: int | None = None,
    bytes_per_second: int | None = None,
) -> Iterator[HttpGit]:
    """Serve every repository below `root` through `git http-backend`, with Basic auth if there is a user name.

    With `hold_after` the pack stops after so many bytes until release(); with `bytes_per_second` it trickles.
    """
    server = _Server(root, hold_after, bytes_per_second, username, password)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.state.release()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, root: Path, hold: int | None, rate: int | None, username: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.rate = rate
        self.state = HttpGit(f"http://127.0.0.1:{self.server_address[1]}", username, password, hold)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer the first request of a fetch."""
        self._backend()

    def do_POST(self) -> None:
        """Answer the later ones."""
        self._backend()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the overridden method's
        """Log nothing: pytest's output is for tests."""

    def _backend(self) -> None:
        state = self.server.state
        state.requests.append(self.path)
        login = base64.b64encode(f"{state.username}:{state.password}".encode()).decode()
        if state.username and self.headers.get("Authorization") != f"Basic {login}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        process = subprocess.Popen(
            ("git", "http-backend"),
            env={
                **_ENV,
                "GIT_PROJECT_ROOT": str(self.server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": unquote(path),
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "somebody" if state.username else "",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with process:
            assert process.stdin is not None
            try:
                process.stdin.write(self._body())
                process.stdin.close()
                self._answer(process)
            except (BrokenPipeError, ConnectionResetError):
                process.kill()  # the client has gone

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, process: subprocess.Popen[bytes]) -> None:
        assert isinstance(process.stdout, io.BufferedReader)
        headers = [line.decode().rstrip() for line in iter(process.stdout.readline, b"\r\n") if line.strip()]
        fields = dict(header.split(": ", 1) for header in headers)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        sent = 0
        is_pack = self.path.endswith("/git-upload-pack")
        while block := process.stdout.read1(_BLOCK):
            if is_pack:
                self.server.state.paced(sent, self.server.rate)
            self.wfile.write(block)
            sent += len(block)
