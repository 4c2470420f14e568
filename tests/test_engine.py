"""The engine adapter against a real engine."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker
import pytest
from conftest import missing
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime, images
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection.address import find_address
from relay_tui.adapters.docker.images import PullProgress
from relay_tui.adapters.docker.streams import FrameDecoder
from relay_tui.adapters.runtime_common.log_lines import engine_time
from relay_tui.domain.errors import (
    CancelledError,
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
    NotFoundError,
)
from relay_tui.domain.models import Identity
from relay_tui.ports import ContainerSpec, LogChunk
from relay_tui.ports.task import TaskContext

ADA = Identity("Ada Lovelace", "ada@example.org")


@dataclass
class Sessions:
    """Makes containers as a test needs them, and looks into them."""

    runtime: DockerRuntime
    client: docker.DockerClient
    workspace: Path

    def spec(self, **changes: Any) -> ContainerSpec:  # noqa: ANN401
        """A specification for session s1 with an idle busybox, changed as asked."""
        self.workspace.mkdir(exist_ok=True)
        labels = {"relay.session": "s1", "relay.project": "p1"}
        plain = {"name": f"relay-test-{os.getpid()}", "image": "relay-test/busybox", "workspace": self.workspace}
        return ContainerSpec(**{**plain, "labels": labels, "identity": ADA, **changes})

    def start(self, **changes: Any) -> str:  # noqa: ANN401
        """A started container."""
        container_id = self.runtime.create(self.spec(**changes), TaskContext())
        self.runtime.start(container_id)
        return container_id

    def output(self, container_id: str, *command: str) -> str:
        """Return the output of a command in the container."""
        code, output = self.client.containers.get(container_id).exec_run(list(command))
        assert code == 0, output
        return str(output.decode())

    def shell(self, container_id: str, script: str) -> str:
        """Return the output of a script in the container."""
        return self.output(container_id, "sh", "-c", script)


@pytest.fixture
def sessions(engine: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path) -> Sessions:
    return Sessions(runtime, engine, tmp_path / "clone")


def _log(runtime: DockerRuntime, container_id: str, **options: Any) -> dict[str, bytes]:  # noqa: ANN401
    found = {"stdout": b"", "stderr": b""}
    for chunk in runtime.logs(container_id, follow=False, **options):
        found[chunk.stream] += chunk.data
    return found


# --- where the engine is ---------------------------------------------------------------------------------------------


def _write_context(config: Path, name: str, endpoint: dict[str, object], *, current: bool = True) -> Path:
    key = sha256(name.encode()).hexdigest()
    meta = config / "contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if current:
        (config / "config.json").write_text(json.dumps({"currentContext": name}))
    return config / "contexts/tls" / key / "docker"


def test_address_comes_from_docker_host_before_any_context(tmp_path: Path) -> None:
    _write_context(tmp_path, "far", {"Host": "tcp://far:1234"})
    config = {"DOCKER_CONFIG": str(tmp_path)}
    assert find_address({**config, "DOCKER_HOST": "unix:///run/here.sock"}).path == "/run/here.sock"
    assert find_address({**config, "DOCKER_CONTEXT": "default"}).path == "/var/run/docker.sock"
    assert find_address(config).host == "far"
    assert find_address({"HOME": str(tmp_path / "nobody")}).url == "unix:///var/run/docker.sock"


def test_context_named_in_the_environment_needs_no_config_file(tmp_path: Path) -> None:
    _write_context(tmp_path, "far", {"Host": "ssh://ada@far:2222"}, current=False)
    found = find_address({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "far"})
    assert (found.scheme, found.user, found.host, found.port) == ("ssh", "ada", "far", 2222)


def test_context_brings_its_certificates(tmp_path: Path) -> None:
    certificates = _write_context(tmp_path, "far", {"Host": "tcp://far:2376", "SkipTLSVerify": True})
    certificates.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (certificates / name).touch()
    tls = find_address({"DOCKER_CONFIG": str(tmp_path)}).tls
    assert tls is not None
    assert (tls.ca, tls.cert, tls.key) == tuple(certificates / name for name in ("ca.pem", "cert.pem", "key.pem"))
    assert not tls.verify


def test_tls_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    environ = {"DOCKER_HOST": "tcp://far:2376", "DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
    tls = find_address(environ).tls
    assert tls is not None
    assert tls.verify
    assert (tls.ca, tls.cert) == (tmp_path / "ca.pem", None)


@pytest.mark.parametrize(
    ("config", "environ", "words"),
    [
        ('{"currentContext": "gone"}', {}, "The docker context gone is not defined"),
        ("{broken", {}, "Cannot read docker's configuration"),
        ("[]", {}, "Cannot read docker's configuration"),
        ("{}", {"DOCKER_HOST": "gopher://x"}, "Cannot use the engine's address"),
        ("{}", {"DOCKER_HOST": "tcp://far:port"}, "Cannot use the engine's address"),
    ],
)
def test_configuration_that_names_no_engine_is_said(
    tmp_path: Path, config: str, environ: dict[str, str], words: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(EngineUnreachableError) as caught:
        find_address({"DOCKER_CONFIG": str(tmp_path), **environ})
    assert words in caught.value.title
    assert caught.value.hint


def _ping_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> EngineUnreachableError:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineUnreachableError) as caught:
        DockerRuntime(tmp_path, tmp_path).list_containers()
    assert caught.value.title == "The engine does not answer"
    return caught.value


def test_missing_socket_is_told_with_what_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = _ping_at(tmp_path, monkeypatch, f"unix://{tmp_path}/no.sock")
    assert error.detail == f"unix://{tmp_path}/no.sock: no such file or directory"
    assert error.hint == "The socket from $DOCKER_HOST does not exist: unset DOCKER_HOST"


def test_dead_socket_and_dead_port_and_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(f"{tmp_path}/dead.sock")
    dead.close()
    assert "connection refused" in _ping_at(tmp_path, monkeypatch, f"unix://{tmp_path}/dead.sock").detail
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(1024)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert "does not speak HTTP" in _ping_at(tmp_path, monkeypatch, f"tcp://127.0.0.1:{port}").detail
        thread.join()
    assert "connection refused" in _ping_at(tmp_path, monkeypatch, f"tcp://127.0.0.1:{port}").detail


def test_importing_the_adapter_does_not_import_docker() -> None:
    script = "import sys, relay_tui.adapters.docker; sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.engine
def test_ping_names_engine_and_address(runtime: DockerRuntime) -> None:
    words = runtime.ping()
    product, version, at, address = words.split(" ")
    assert product in ("Docker", "Podman")
    assert version[0].isdigit()
    assert at == "at"
    assert "://" in address


# --- the container ---------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_idle_container_is_hardened_and_labelled(sessions: Sessions) -> None:
    container_id = sessions.start(cpus=0.5, memory=64 << 20, pids_limit=99, env={"RELAY_SESSION": "s1"})
    inspected = sessions.client.api.inspect_container(container_id)
    host, config = inspected["HostConfig"], inspected["Config"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["Init"], host["PidsLimit"], host["NanoCpus"]) == (True, 99, 500_000_000)
    assert host["Memory"] == 64 << 20
    assert [mount["Destination"] for mount in inspected["Mounts"]] == ["/workspace"]
    assert config["Labels"]["relay.session"] == "s1"
    assert config["OpenStdin"]
    assert not config["Tty"]
    assert sessions.shell(container_id, "pwd; echo $RELAY_SESSION $LANG").split() == ["/workspace", "s1", "C.UTF-8"]
    observed = sessions.runtime.inspect(container_id)
    assert (observed.status, observed.session_id, observed.project_id) == ("running", "s1", "p1")
    assert observed.exit_code is None
    assert observed.started_at


@pytest.mark.engine
@pytest.mark.parametrize("image", ["busybox", "false", "sleep-only", "shell-only"])
def test_idling_works_in_any_image_with_sleep_or_a_shell_and_ends_at_once(sessions: Sessions, image: str) -> None:
    container_id = sessions.start(image=f"relay-test/{image}")
    assert sessions.runtime.inspect(container_id).status == "running"
    begun = time.monotonic()
    sessions.runtime.stop(container_id)
    assert time.monotonic() - begun < 5
    assert sessions.runtime.inspect(container_id).status == "exited"


@pytest.mark.engine
def test_image_that_cannot_idle_is_refused_and_leaves_nothing(sessions: Sessions) -> None:
    with pytest.raises(EngineError) as caught:
        sessions.runtime.create(sessions.spec(image="relay-test/nothing"), TaskContext())
    assert caught.value.title == "Cannot keep the container running"
    assert "command" in caught.value.hint
    assert sessions.runtime.list_containers() == []


@pytest.mark.engine
def test_command_replaces_entrypoint_and_keeps_the_image_environment(sessions: Sessions) -> None:
    script = "echo $COLOUR $LANG; echo oops >&2; exit 3"
    container_id = sessions.start(image="relay-test/false", command=("sh", "-c", script))
    observed = sessions.runtime.wait(container_id, 10)
    assert (observed.status, observed.exit_code) == ("exited", 3)
    assert _log(sessions.runtime, container_id) == {"stdout": b"blue C.UTF-8\n", "stderr": b"oops\n"}
    assert sessions.runtime.list_containers()[0].exit_code == 3


@pytest.mark.engine
def test_creating_again_replaces_the_container_of_the_same_session(sessions: Sessions) -> None:
    first = sessions.start()
    other = sessions.start(name="relay-test-other", labels={"relay.session": "s2"})
    second = sessions.runtime.create(sessions.spec(), TaskContext())
    assert {found.container_id for found in sessions.runtime.list_containers()} == {second, other}
    with pytest.raises(NotFoundError):
        sessions.runtime.inspect(first)


@pytest.mark.engine
def test_name_that_a_stranger_has_gets_a_suffix(sessions: Sessions) -> None:
    name = f"relay-test-taken-{os.getpid()}"
    stranger = sessions.client.containers.create("relay-test/busybox", name=name)
    try:
        container_id = sessions.runtime.create(sessions.spec(name=name), TaskContext())
        assert sessions.client.containers.get(container_id).name.startswith(f"{name}-")
    finally:
        stranger.remove(force=True)


@pytest.mark.engine
def test_ids_that_are_gone(sessions: Sessions) -> None:
    container_id = sessions.start()
    sessions.runtime.start(container_id)
    sessions.runtime.remove(container_id)
    sessions.runtime.remove(container_id)
    for call in (sessions.runtime.start, sessions.runtime.stop, sessions.runtime.inspect, sessions.runtime.attach):
        with pytest.raises(NotFoundError):
            call(container_id)
    with pytest.raises(NotFoundError):
        sessions.runtime.logs(container_id, follow=True)


@pytest.mark.engine
def test_removing_at_the_same_time_is_fine_for_everybody(sessions: Sessions) -> None:
    container_id = sessions.start()
    errors: list[EngineError] = []

    def remove() -> None:
        try:
            sessions.runtime.remove(container_id)
            assert sessions.runtime.list_containers() == []
        except EngineError as error:
            errors.append(error)

    threads = [_in_thread(remove) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.engine
def test_stopping_what_is_stopped_and_waiting_with_a_limit(sessions: Sessions) -> None:
    container_id = sessions.start()
    begun = time.monotonic()
    assert sessions.runtime.wait(container_id, 0.2).status == "running"
    assert 0.2 <= time.monotonic() - begun < 2
    sessions.runtime.stop(container_id)
    sessions.runtime.stop(container_id)
    assert sessions.runtime.wait(container_id, 5).status == "exited"


@pytest.mark.engine
def test_failed_start_tells_the_engine_words(sessions: Sessions) -> None:
    container_id = sessions.runtime.create(sessions.spec(), TaskContext())
    sessions.workspace.rmdir()
    sessions.workspace.touch()
    with pytest.raises(EngineError) as caught:
        sessions.runtime.start(container_id)
    assert caught.value.title == "The container did not start"
    assert "not a directory" in caught.value.detail
    observed = sessions.runtime.list_containers()[0]
    assert observed.status == "created"
    assert "not a directory" in observed.error
    sessions.workspace.unlink()
    with pytest.raises(EngineError) as caught:
        sessions.runtime.create(sessions.spec(workspace=sessions.workspace / "no"), TaskContext())
    assert "remote engine" in caught.value.hint


@pytest.mark.engine
def test_out_of_memory_is_seen(sessions: Sessions) -> None:
    script = "x=0123456789abcdef; while :; do x=$x$x; done"
    container_id = sessions.start(command=("sh", "-c", script), memory=16 << 20)
    sessions.runtime.wait(container_id, 20)
    observed = sessions.runtime.list_containers()[0]
    assert observed.oom_killed
    assert observed.exit_code == 137


@pytest.mark.engine
def test_many_threads_at_once(sessions: Sessions) -> None:
    ids: list[str] = []
    errors: list[BaseException] = []

    def live(number: int) -> None:
        try:
            container_id = sessions.start(name=f"relay-test-many-{number}", labels={"relay.session": f"m{number}"})
            ids.append(container_id)
            sessions.runtime.inspect(container_id)
            sessions.runtime.stop(container_id)
        except BaseException as error:
            errors.append(error)
            raise

    sessions.workspace.mkdir()
    threads = [threading.Thread(target=live, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    found = sessions.runtime.list_containers()
    assert sorted(found_one.container_id for found_one in found) == sorted(ids)
    assert {found_one.exit_code for found_one in found} == {143}


@pytest.mark.engine
def test_other_data_dirs_are_not_observed(sessions: Sessions, tmp_path: Path) -> None:
    sessions.start()
    assert DockerRuntime(tmp_path / "elsewhere", tmp_path).list_containers() == []


# --- who runs in it --------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_unknown_uid_gets_name_home_and_group(sessions: Sessions) -> None:
    container_id = sessions.start(image="relay-test/git", user="4321:4322")
    script = "id -un; id -gn; echo $HOME $USER $LOGNAME; stat -c '%a %u:%g' ~; touch ~/x && echo ok"
    lines = sessions.shell(container_id, script).splitlines()
    assert lines == ["relay", "relay", "/home/relay relay relay", "700 4321:4322", "ok"]
    entry = sessions.shell(container_id, "grep ^relay: /etc/passwd")
    assert entry == "relay:x:4321:4322:Ada Lovelace:/home/relay:/bin/bash\n"


@pytest.mark.engine
@pytest.mark.parametrize("image", ["sleep-only", "shell-only"])
def test_image_without_etc_gets_accounts_others_can_read(sessions: Sessions, image: str) -> None:
    container_id = sessions.start(image=f"relay-test/{image}", user="4321:4321")
    container = sessions.client.containers.get(container_id)
    for path in ("/etc", "/etc/passwd", "/home", "/home/relay/.gitconfig"):
        _, stat = container.get_archive(path)
        assert stat["mode"] & 0o444 == 0o444


@pytest.mark.engine
def test_users_named_in_a_profile(sessions: Sessions) -> None:
    container_id = sessions.start(user="daemon")
    assert sessions.shell(container_id, "id -u; id -g; echo $HOME").split() == ["1", "1", "/home/daemon"]
    assert sessions.client.api.inspect_container(container_id)["Config"]["Labels"]["relay.user"] == "1:1"
    with pytest.raises(EngineError) as caught:
        sessions.runtime.create(sessions.spec(user="nobody-here"), TaskContext())
    assert "nobody-here" in caught.value.title
    assert caught.value.hint


@pytest.mark.engine
def test_user_of_the_image_keeps_home_and_git_configuration(sessions: Sessions) -> None:
    sessions.workspace.mkdir()
    sessions.workspace.chmod(0o777)
    container_id = sessions.start(image="relay-test/own-user", user="image")
    script = "id -un; echo $HOME; stat -c %u ~; cat ~/.gitconfig"
    name, home, owner, *configuration = sessions.shell(container_id, script).splitlines()
    assert (name, home, owner) == ("app", "/home/app", "1234")
    ours, theirs = configuration.index('\tname = "Ada Lovelace"'), configuration.index("\tname = Theirs")
    assert ours < theirs
    assert "\tst = status" in configuration


@pytest.mark.engine
def test_profile_environment_wins(sessions: Sessions) -> None:
    env = {"HOME": "/srv/me", "LANG": "de_DE.UTF-8", "X": "a=b\nc"}
    container_id = sessions.start(env=env)
    assert sessions.shell(container_id, 'echo $HOME $LANG "$X"; ls -d ~/.gitconfig') == (
        "/srv/me de_DE.UTF-8 a=b\nc\n/srv/me/.gitconfig\n"
    )


HOSTILE = Identity('Ada "Q" \\ O\'Neil; #x\n[core]\tz', 'a\\b;"#@example.org ')


@pytest.mark.engine
@pytest.mark.parametrize("user", ["host", "0:0", "4321:4321", "image", "daemon"])
def test_git_accepts_the_clone_and_knows_who_commits(sessions: Sessions, user: str) -> None:
    sessions.workspace.mkdir()
    subprocess.run(["git", "init", "-q", sessions.workspace], check=True)
    for path in (sessions.workspace, *sessions.workspace.rglob("*")):
        os.chown(path, 999, 999)
        path.chmod(0o777)
    container_id = sessions.start(image="relay-test/git", user=user, identity=HOSTILE)
    assert sessions.output(container_id, "git", "config", "user.name") == HOSTILE.name + "\n"
    assert sessions.output(container_id, "git", "config", "user.email") == HOSTILE.email + "\n"
    assert sessions.output(container_id, "git", "config", "init.defaultBranch") == "main\n"
    sessions.output(container_id, "git", "commit", "-q", "--allow-empty", "-m", "made inside")
    assert sessions.output(container_id, "git", "log", "--format=%s") == "made inside\n"


@pytest.mark.engine
def test_relay_of_an_ordinary_user_makes_files_of_that_user(sessions: Sessions, containers: Path) -> None:
    address = find_address()
    if os.getuid() != 0 or address.scheme != "unix":
        pytest.skip("only root can become another user, and let it use a socket on this machine")
    inside = "id -u; id -g; id -un >name; stat -c %u ~; git init -q . && git commit -q --allow-empty -m x"
    sessions.start(name="relay-test-first")  # so that nothing is left to import for a user who cannot read it
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 1234, 1235)
        spec = sessions.spec(image="relay-test/git", workspace=Path(name), command=("sh", "-c", inside))

        def work() -> bytes:
            os.environ["HOME"] = name
            os.setgroups([Path(address.path).stat().st_gid])
            os.setgid(1235)
            os.setuid(1234)
            runtime = DockerRuntime(containers, Path(name) / "cache")
            container_id = runtime.create(spec, TaskContext())
            runtime.start(container_id)
            assert runtime.wait(container_id, 20).exit_code == 0
            return _log(runtime, container_id)["stdout"]

        assert _in_process(work).split() == [b"1234", b"1235", b"1234"]
        made = (Path(name) / "name").stat()
        assert (made.st_uid, made.st_gid) == (1234, 1235)
        assert (Path(name) / "name").read_text() == "relay\n"


def _in_process(work: Callable[[], bytes]) -> bytes:
    """Return the result of `work` in a child process, or the text of the exception that it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work())
        except BaseException as error:
            os.write(writing, f"{error!r} {getattr(error, 'detail', '')}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


# --- what is learnt of images ----------------------------------------------------------------------------------------


@pytest.mark.engine
def test_what_is_learnt_of_an_image_is_read_once(
    sessions: Sessions, containers: Path, tmp_path: Path, engine: docker.DockerClient
) -> None:
    def created_since(begun: float) -> int:
        events = engine.events(since=begun, until=time.time(), filters={"event": "create"}, decode=True)
        return sum(1 for event in events if event["Actor"]["Attributes"].get("relay.data-dir") == str(containers))

    cache = tmp_path / "cache"
    runtime = DockerRuntime(containers, cache)
    begun = time.time()
    runtime.create(sessions.spec(), TaskContext())
    assert created_since(begun) == 2
    (kept,) = (cache / "images").iterdir()
    begun = time.time()
    DockerRuntime(containers, cache).create(sessions.spec(), TaskContext())
    assert created_since(begun) == 1
    kept.write_text("{broken")
    runtime.create(sessions.spec(), TaskContext())
    assert json.loads(kept.read_text())["idle"] == ["/bin/sleep", "2147483647"]


def test_names_of_images_are_checked_before_the_engine_is_asked() -> None:
    for name in ("", "Upper/Case", "a b", "../containers/json", "x:", "-x", "a/../b", "x@sha256:12"):
        with pytest.raises(EngineError) as caught:
            images.ensure_image(EngineClient(), name, TaskContext())
        assert "is not an image name" in caught.value.title


def test_pull_progress_is_summed_and_never_goes_back() -> None:
    progress = PullProgress()
    assert not progress.update({"status": "Pulling from library/x", "id": "latest"})
    seen = []
    for status, key, current, total in (
        ("Already exists", "c", 0, 0),
        ("Pulling fs layer", "a", 0, 0),
        ("Pulling fs layer", "b", 0, 0),
        ("Downloading", "a", 5_000_000, 10_000_000),
        ("Downloading", "b", 10_000_000, 40_000_000),
        ("Download complete", "a", 0, 0),
        ("Extracting", "a", 5_000_000, 10_000_000),
        ("Pull complete", "a", 0, 0),
        ("Pull complete", "b", 0, 0),
    ):
        progress.update({"status": status, "id": key, "progressDetail": {"current": current, "total": total}})
        fraction = progress.fraction
        seen.append((None if fraction is None else round(fraction, 3), progress.detail))
    assert seen[0] == (None, "1 of 1 layers")
    assert seen[4] == (0.3, "1 of 3 layers, 15 MB of 50 MB")
    assert seen[-1] == (1.0, "3 of 3 layers, 50 MB of 50 MB")
    fractions = [fraction for fraction, _ in seen if fraction is not None]
    assert fractions == sorted(fractions)


@contextmanager
def _serving(tmp_path: Path, auth: dict[str, object] | None = None) -> Iterator[str]:
    """A registry on loopback, as host:port."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("no docker-registry program (Debian's package of that name) to pull from")
    assert program is not None
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
    http = {"addr": f"127.0.0.1:{port}"}
    config.write_text(
        json.dumps({"version": 0.1, "storage": storage, "http": http, **({"auth": auth} if auth else {})})
    )
    process = subprocess.Popen([program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, what="registry")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry for everybody."""
    with _serving(tmp_path) as address:
        yield address


@pytest.fixture
def published(engine: docker.DockerClient, registry: str) -> Iterator[str]:
    """An image of two layers that is in the registry alone."""
    reference = f"{registry}/team/two-layers"
    container = engine.containers.run(
        "relay-test/busybox", ["dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=24"], detach=True
    )
    container.wait()
    container.commit(repository=reference, tag="latest")
    container.commit(repository=reference, tag="other")
    container.remove()
    for line in engine.api.push(reference, tag="latest", stream=True, decode=True):
        assert "error" not in line, line

    def forget() -> None:
        for tag in ("latest", "other"):
            if engine.images.list(f"{reference}:{tag}"):
                engine.images.remove(f"{reference}:{tag}", force=True)

    forget()
    yield reference
    forget()


@pytest.mark.engine
def test_missing_image_is_pulled_with_progress(sessions: Sessions, published: str) -> None:
    seen: list[tuple[str, float | None, str]] = []
    container_id = sessions.runtime.create(sessions.spec(image=published), TaskContext(lambda *told: seen.append(told)))
    sessions.runtime.start(container_id)
    assert sessions.shell(container_id, "stat -c %s /big") == f"{24 << 20}\n"
    fractions = [fraction for stage, fraction, _ in seen if stage == "Pulling image" and fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(set(fractions)) > 3
    assert any(detail.startswith("2 of 2 layers, ") and "MB of" in detail for _, _, detail in seen)
    assert len(sessions.client.images.list(published)) == 1
    sessions.runtime.remove(container_id)


@pytest.mark.engine
def test_pull_is_cancelled_promptly(sessions: Sessions, published: str) -> None:
    task = TaskContext(lambda stage, _fraction, _detail: task.cancel() if stage == "Pulling image" else None)
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        sessions.runtime.create(sessions.spec(image=published), task)
    assert time.monotonic() - begun < 2
    assert sessions.runtime.list_containers() == []


@pytest.mark.engine
def test_cancelled_before_anything_is_created(sessions: Sessions) -> None:
    task = TaskContext()
    task.cancel()
    with pytest.raises(CancelledError):
        sessions.runtime.create(sessions.spec(), task)
    assert sessions.runtime.list_containers() == []


@pytest.mark.engine
@pytest.mark.parametrize(
    ("name", "hint"),
    [("{registry}/team/nothing:1", "name and tag"), ("127.0.0.1:9/x", "reaches the registry")],
)
def test_failed_pull_tells_the_engine_words_and_what_to_do(
    sessions: Sessions, registry: str, name: str, hint: str
) -> None:
    image = name.format(registry=registry)
    with pytest.raises(EngineError) as caught:
        sessions.runtime.create(sessions.spec(image=image), TaskContext())
    assert caught.value.title == f"Cannot pull the image {image}"
    assert caught.value.detail
    assert hint in caught.value.hint


@pytest.mark.engine
def test_pull_uses_what_docker_login_kept(
    sessions: Sessions, engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "htpasswd"
    users.write_text("ada:$2b$04$xd5sTTZsYesMDnHEv.sqCuZkP6xzKst2pUkslHWg8WEJd8yDUSAxO\n")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with _serving(tmp_path, {"htpasswd": {"realm": "relay", "path": str(users)}}) as registry:
        image = f"{registry}/private:1"
        engine.images.get("relay-test/busybox").tag(image)
        login = {"username": "ada", "password": "open sesame"}
        for line in engine.api.push(image, auth_config=login, stream=True, decode=True):
            assert "error" not in line, line
        engine.images.remove(image)
        with pytest.raises(EngineError) as caught:
            sessions.runtime.create(sessions.spec(image=image), TaskContext())
        assert "docker login" in caught.value.hint
        secret = base64.b64encode(b"ada:open sesame").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": secret}}}))
        sessions.runtime.create(sessions.spec(image=image), TaskContext())
        engine.images.remove(image, force=True)


# --- output ----------------------------------------------------------------------------------------------------------


def test_frames_cut_anywhere_give_the_same_bytes() -> None:
    parts = [(1, b"one\n"), (1, b"two\n"), (2, b"err\n"), (1, b""), (1, b"x" * 300), (2, b"!")]
    wire = b"".join(bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for number, data in parts)
    assert FrameDecoder().feed(wire) == [
        LogChunk("stdout", b"one\ntwo\n"),
        LogChunk("stderr", b"err\n"),
        LogChunk("stdout", b"x" * 300),
        LogChunk("stderr", b"!"),
    ]
    for size in (1, 3, 8, 11):
        frames = FrameDecoder()
        chunks = [chunk for at in range(0, len(wire), size) for chunk in frames.feed(wire[at : at + size])]
        for stream in ("stdout", "stderr"):
            expected = b"".join(data for number, data in parts if ("stdout", "stderr")[number - 1] == stream)
            assert b"".join(chunk.data for chunk in chunks if chunk.stream == stream) == expected


def test_times_for_the_engine() -> None:
    assert engine_time("1970-01-01T00:01:40.5Z") == "100.500000000"
    assert engine_time("1970-01-01T02:01:40.123456789+02:00") == "100.123456789"
    assert engine_time("1970-01-01T00:01:40") == "100.000000000"
    for nonsense in ("", "yesterday", "1970-13-01T00:00:00Z"):
        with pytest.raises(InvalidInputError):
            engine_time(nonsense)


@pytest.mark.engine
def test_log_of_a_stopped_container_with_tail_and_since(sessions: Sessions) -> None:
    container_id = sessions.start(command=("sh", "-c", "for i in 1 2 3 4; do echo line $i; done"))
    sessions.runtime.wait(container_id, 10)
    assert _log(sessions.runtime, container_id, tail=2)["stdout"] == b"line 3\nline 4\n"
    stamped = _log(sessions.runtime, container_id, timestamps=True)["stdout"].decode().splitlines()
    third = stamped[2].split(" ")[0]
    assert [line.split(" ", 1)[1] for line in stamped] == ["line 1", "line 2", "line 3", "line 4"]
    assert _log(sessions.runtime, container_id, since=third)["stdout"] == b"line 3\nline 4\n"
    assert [chunk.data for chunk in sessions.runtime.logs(container_id, follow=True, tail=1)] == [b"line 4\n"]


@pytest.mark.engine
def test_log_of_a_terminal_comes_raw(sessions: Sessions) -> None:
    container_id = sessions.start(command=("sh", "-c", "echo '\x1b[31mred'; tty"), tty=True)
    sessions.runtime.wait(container_id, 10)
    assert _log(sessions.runtime, container_id)["stdout"] == b"\x1b[31mred\r\n/dev/pts/0\r\n"


def _in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.engine
def test_followed_log_comes_as_it_is_written_and_ends_when_closed(sessions: Sessions) -> None:
    container_id = sessions.start(command=("sh", "-c", "echo begun; while read -r x; do echo got $x; done"))
    stream = sessions.runtime.logs(container_id, follow=True)
    seen: list[bytes] = []
    thread = _in_thread(lambda: seen.extend(chunk.data for chunk in stream))
    wait_until(lambda: b"begun\n" in seen)
    assert thread.is_alive()
    stream.close()
    thread.join(2)
    assert not thread.is_alive()
    stream.close()
    assert list(sessions.runtime.logs(container_id, follow=False, tail=0)) == []


@pytest.mark.engine
def test_large_log_comes_whole_and_fast(sessions: Sessions) -> None:
    container_id = sessions.start(command=("sh", "-c", "seq 1 100000"))
    sessions.runtime.wait(container_id, 30)
    begun = time.monotonic()
    output = _log(sessions.runtime, container_id)["stdout"]
    assert output == b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert time.monotonic() - begun < 5


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_events_name_the_session_and_end_when_closed(sessions: Sessions, tmp_path: Path) -> None:
    stream = sessions.runtime.events()
    seen: list[str] = []
    thread = _in_thread(lambda: seen.extend(stream))
    container_id = sessions.start()
    wait_until(lambda: len(seen) >= 2, what="create, start")
    elsewhere = DockerRuntime(tmp_path / "other", tmp_path / "cache")
    Sessions(elsewhere, sessions.client, sessions.workspace).start(
        name="relay-test-elsewhere", labels={"relay.session": "no"}
    )
    sessions.client.containers.get(container_id).exec_run(["true"])
    before = len(seen)
    sessions.runtime.stop(container_id)
    wait_until(lambda: len(seen) >= before + 2, what="die, stop")
    sessions.runtime.remove(container_id)
    wait_until(lambda: len(seen) >= before + 3, what="destroy")
    assert set(seen) == {"s1"}
    stream.close()
    thread.join(2)
    assert not thread.is_alive()


# --- the way to it ---------------------------------------------------------------------------------------------------


class Proxy:
    """Proxy before the engine's socket. It can cut every connection."""

    def __init__(self, server: socket.socket, target: str, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._server = server
        self._server.listen()
        self._open: list[socket.socket] = []
        _in_thread(self._serve)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection; new ones are fine."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            _in_thread(partial(self._carry, near))

    def _carry(self, near: socket.socket) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as far:
            far.connect(self._target)
            if self._tls is not None:
                near = self._tls.wrap_socket(near, server_side=True, suppress_ragged_eofs=False)
            self._open += [near, far]
            self._copy(near, far)
        near.close()

    @staticmethod
    def _copy(near: socket.socket, far: socket.socket) -> None:
        """Carry bytes until the far side ends. Only a near side that closes properly has ended its input."""
        reading = [near, far]
        while far in reading:
            waiting = isinstance(near, ssl.SSLSocket) and near.pending() > 0
            for source in [near] if waiting else select.select(reading, [], [])[0]:
                data = source.recv(65536)
                if data:
                    (far if source is near else near).sendall(data)
                    continue
                reading.remove(source)
                if source is near:
                    far.shutdown(socket.SHUT_WR)


def _local_socket() -> str:
    address = find_address()
    if address.scheme != "unix":
        pytest.skip("a stand-in is put in front of a socket on this machine")
    return address.path


@pytest.mark.engine
@pytest.mark.usefixtures("engine")
def test_lost_connection_is_told_and_the_next_call_finds_the_engine_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = socket.socket(socket.AF_UNIX)
    target = _local_socket()
    server.bind(f"{tmp_path}/proxy.sock")
    with Proxy(server, target) as proxy:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/proxy.sock")
        runtime = DockerRuntime(tmp_path / "data", tmp_path)
        assert runtime.list_containers() == []
        stream = runtime.events()
        proxy.cut()
        with pytest.raises(EngineUnreachableError) as caught:
            list(stream)
        assert "proxy.sock" in caught.value.detail
        assert runtime.list_containers() == []


def _certificates(directory: Path) -> None:
    """An authority that is its own server and its own client, for 127.0.0.1."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=relay-test"
    made = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command.split(), *made], cwd=directory, capture_output=True, check=True)
    shutil.copy(directory / "cert.pem", directory / "ca.pem")


@pytest.mark.engine
def test_engine_over_tls(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = _local_socket()
    container_id = sessions.start(image="relay-test/git")
    _certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.pem")
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    server = socket.create_server(("127.0.0.1", 0))
    with Proxy(server, target, tls):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        runtime = DockerRuntime(tmp_path / "data", tmp_path)
        assert runtime.list_containers()[0].container_id == container_id
        given = os.urandom(8 << 20)
        script = "import sys; from pathlib import Path; from relay_tui.adapters.docker import DockerRuntime as R\n"
        script += "sys.exit(R(Path('/'), Path('/')).run(sys.argv[1], ['cat']))"
        command = [sys.executable, "-c", script, container_id]
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=30)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == given
        events = runtime.events()
        thread = _in_thread(lambda: list(events).clear())
        events.close()
        thread.join(2)
        assert not thread.is_alive()
        (tmp_path / "ca.pem").write_bytes(b"")
        with pytest.raises(EngineUnreachableError):
            DockerRuntime(tmp_path / "data", tmp_path).list_containers()
        for name in ("ca.pem", "cert.pem", "key.pem"):
            (tmp_path / name).unlink()
        with pytest.raises(EngineUnreachableError) as caught:
            DockerRuntime(tmp_path / "data", tmp_path).list_containers()
        assert "certificate" in caught.value.detail.lower()
        assert "certificates" in caught.value.hint


@pytest.mark.engine
def test_engine_over_ssh(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an `ssh` that stays on this machine: what is tested is the connection over a process."""
    target = _local_socket()
    copier = tmp_path / "bin/ssh"
    copier.parent.mkdir()
    copier.write_text(
        f"#!{sys.executable}\n"
        "import os, socket, sys, threading\n"
        f"open({str(tmp_path / 'asked')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        f"far = socket.socket(socket.AF_UNIX); far.connect({target!r})\n"
        "def send():\n"
        "    while data := os.read(0, 65536): far.sendall(data)\n"
        "    far.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=send, daemon=True).start()\n"
        "while data := far.recv(65536): os.write(1, data)\n"
    )
    copier.chmod(0o755)
    container_id = sessions.start(command=("sh", "-c", "echo over; sleep 100"))
    monkeypatch.setenv("PATH", f"{copier.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@far:2222")
    runtime = DockerRuntime(tmp_path / "data", tmp_path)
    assert runtime.inspect(container_id).status == "running"
    assert (tmp_path / "asked").read_text().endswith("-l ada -p 2222 -- far docker system dial-stdio")
    wait_until(lambda: _log(runtime, container_id)["stdout"] == b"over\n")
