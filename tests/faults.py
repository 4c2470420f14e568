"""Environment faults for tests: a small disk, and an engine or a server that becomes unreachable and returns."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from conftest import missing
from installed_relay import IMAGE, InstalledRelay


def add_demo(relay: InstalledRelay, source: Path, *options: str) -> dict[str, object]:
    """Add a project `demo`, whose first session runs."""
    return relay.json("project", "add", source, "--name", "demo", "--image", IMAGE, *options)


def only_session(relay: InstalledRelay) -> dict[str, object]:
    """The one session there is."""
    [row] = relay.run("session", "list", "--json").rows
    return row


def fault(value: object) -> dict[str, str]:
    """A record's error."""
    assert isinstance(value, dict)
    return value


def no_bug_logged(relay: InstalledRelay) -> None:
    """Assert that relay's log contains no traceback. Expected faults may be logged."""
    log = relay.root / "state/relay/relay.log"
    assert not log.exists() or "Traceback" not in log.read_text()


def containers_of(client: docker.DockerClient, relay: InstalledRelay) -> list[str]:
    """The ids of all the containers of relay's data dir."""
    listed = client.containers.list(
        all=True, filters={"label": f"relay.data-dir={relay.data}"}, ignore_removed=True, sparse=True
    )
    return [str(found.id) for found in listed]


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own at `path`, in memory."""

    path: Path

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    def fill(self, leave: int = 0) -> None:
        """Use up all its room but `leave` bytes."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(65536)):
                pass
        if leave:
            os.truncate(self._filler, max(0, self._filler.stat().st_size - leave))
        assert shutil.disk_usage(self.path).free >= leave

    def make_room(self, size: str = "") -> None:
        """Give back what fill() took; with a `size`, become that large."""
        self._filler.unlink(missing_ok=True)
        if size:
            _mount("-o", f"remount,size={size}", self.path)

    def read_only(self, yes: bool) -> None:
        """Refuse every write from now on, or allow them again."""
        _mount("-o", f"remount,{'ro' if yes else 'rw'}", self.path)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a file system of `size` (as '4m') at `path`. The engine sees it too; only root may do that."""
    if os.geteuid():
        missing("only root may mount a small disk")
    path.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=700", "relay-test", path)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(("umount", "--lazy", path), check=True)


@contextmanager
def dead_mount(path: Path) -> Iterator[Path]:
    """Mount a file system that never answers at `path`, like a network mount without its server.

    Frees blocked callers.
    """
    if os.geteuid():
        missing("only root may mount a dead file system")
    try:
        server = os.open("/dev/fuse", os.O_RDWR)  # no process will ever read from it
    except OSError as error:
        missing(f"nothing can be mounted here: {error}")
    try:
        path.mkdir(parents=True)
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
        _mount("-i", "-t", "fuse", "-o", options, "relay-test", path, pass_fds=(server,))
        try:
            yield path
        finally:
            subprocess.run(("umount", "--lazy", "--no-canonicalize", path), check=True)
    finally:
        os.close(server)


def _mount(*arguments: str | Path, pass_fds: tuple[int, ...] = ()) -> None:
    done = subprocess.run(("mount", *arguments), capture_output=True, text=True, check=False, pass_fds=pass_fds)
    if done.returncode:
        missing(f"nothing can be mounted here: {done.stderr.strip()}")


class Relayed:
    """Relay of bytes between clients and a server, which can be stopped and started.

    stop() breaks every connection and closes the address; start() opens it again. The server only notices that
    connections end.
    """

    def __init__(self, listen: str | int, upstream: str | tuple[str, int]) -> None:
        self._listen = listen
        self._upstream = upstream
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.start()

    @property
    def port(self) -> int:
        """Port number of the listener, if it listens on a port."""
        assert isinstance(self._listen, int)
        return self._listen

    def start(self) -> None:
        """Listen at the address."""
        if isinstance(self._listen, str):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self._listen)
        else:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._listen))
            self._listen = int(listener.getsockname()[1])
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Break every connection, take no more."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        if isinstance(self._listen, str):
            Path(self._listen).unlink(missing_ok=True)
        with self._lock:
            connections = tuple(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX if isinstance(self._upstream, str) else socket.AF_INET)
            try:
                far.connect(self._upstream)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            pumps = [threading.Thread(target=self._pump, args=pair, daemon=True) for pair in ((near, far), (far, near))]
            for pump in pumps:
                pump.start()
            threading.Thread(target=self._close, args=(near, far, pumps), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _close(self, near: socket.socket, far: socket.socket, pumps: list[threading.Thread]) -> None:
        for pump in pumps:
            pump.join()
        with self._lock:
            self._open -= {near, far}
        near.close()
        far.close()


@contextmanager
def relayed_engine(path: Path) -> Iterator[Relayed]:
    """Offer the machine's engine at the socket `path`, where a test can stop and start it."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        missing(f"the engine is no socket of this machine: {host}")
    relayed = Relayed(str(path), host.removeprefix("unix://"))
    try:
        yield relayed
    finally:
        relayed.stop()


@contextmanager
def relayed_port(port: int) -> Iterator[Relayed]:
    """A server of loopback behind another port, from where it can vanish."""
    relayed = Relayed(0, ("127.0.0.1", port))
    try:
        yield relayed
    finally:
        relayed.stop()
