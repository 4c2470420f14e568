"""Nothing in the doctor hangs: pipes where files should be, dead mounts, servers and agents that never answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from faults import dead_mount
from installed_relay import InstalledRelay

from relay_tui.adapters.store import TinyDBStore
from relay_tui.domain.models import Project
from relay_tui.paths import DataDir

Row = tuple[str, str, str]
MUTE = "No answer within"


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """relay over an empty data dir, without an engine or an agent."""
    DataDir(tmp_path / "data").prepare()
    return InstalledRelay(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock", "SSH_AUTH_SOCK": ""})


def _findings(relay: InstalledRelay, timeout: str = "4") -> dict[str, Row]:
    """Every finding. A doctor that does not end is a test that fails, for run() waits no longer than a minute."""
    done = relay.run("doctor", "--json", "--timeout", timeout)
    assert done.code == 1, (done.out, done.err)
    rows = done.document["findings"]
    assert isinstance(rows, list)
    return {row["name"]: (row["verdict"], row["found"], row["mend"]) for row in rows}


def _wrong(findings: dict[str, Row]) -> set[str]:
    """Return the names of the broken checks, except the engine, which is never available here."""
    return {name for name, (verdict, *_) in findings.items() if verdict == "broken"} - {"engine"}


def _add_projects(relay: InstalledRelay, *sources: str) -> None:
    with TinyDBStore(DataDir(relay.data).store).transaction() as change:
        for number, source in enumerate(sources):
            made = "2026-01-01T00:00:00Z"
            change.put(Project(id=f"p{number:03}", name=f"a{number:03}", source=source, created_at=made))


@contextmanager
def _silent(address: str | tuple[str, int], backlog: int = 64) -> Iterator[int]:
    """A server that accepts and never answers."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as server:
        server.bind(address)
        server.listen(backlog)
        yield 0 if isinstance(address, str) else server.getsockname()[1]


def _pipe(place: Callable[[InstalledRelay], Path]) -> Callable[[InstalledRelay], None]:
    def make(relay: InstalledRelay) -> None:
        path = place(relay)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)

    return make


@pytest.mark.parametrize(
    ("pipe", "wrong", "words"),
    [
        (_pipe(lambda relay: relay.config), {"config"}, "it is a pipe, not a file"),
        (_pipe(lambda relay: DataDir(relay.data).store), {"store", "orphans"}, "is a pipe, not a file"),
        (_pipe(lambda relay: relay.data / "store.lock"), set(), ""),
        (_pipe(lambda relay: DataDir(relay.data).locks / "p1.lock"), set(), ""),
        (_pipe(lambda relay: relay.root / "state/relay/relay.log"), set(), ""),
        (_pipe(lambda relay: relay.root / "bin/git-lfs"), set(), ""),
    ],
    ids=["config", "store", "store lock", "lock", "log", "program"],
)
def test_a_pipe_where_a_file_should_be(
    relay: InstalledRelay, pipe: Callable[[InstalledRelay], None], wrong: set[str], words: str
) -> None:
    pipe(relay)
    found = _findings(replace(relay, more={**relay.more, "PATH": f"{relay.root}/bin:{os.environ['PATH']}"}))
    assert _wrong(found) == wrong
    assert all(words in found[name][1] for name in wrong)


def test_a_data_dir_on_a_dead_mount_is_one_cause(relay: InstalledRelay) -> None:
    with dead_mount(relay.root / "net") as net:
        more = {**relay.more, "RELAY_DATA_DIR": str(net / "relay")}
        found = _findings(replace(relay, more=more), "7")
    assert _wrong(found) == {"data dir"}
    assert found["data dir"][1].startswith(MUTE)
    assert found["data dir"][2].startswith("mount | grep")
    lost = {name for name, (_, words, _) in found.items() if words == "Not checked: the data directory does not answer"}
    assert lost == {"bubblewrap", "runtimes", "disk", "store", "locks", "orphans"}


def test_everything_else_on_a_dead_mount(relay: InstalledRelay) -> None:
    with dead_mount(relay.root / "net") as net:
        names = ("RELAY_CONFIG", "XDG_STATE_HOME", "SSH_AUTH_SOCK", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "TMPDIR")
        more = {name: str(net / name.lower()) for name in names}
        found = _findings(replace(relay, more=more), "7")
    assert {"config", "ssh agent", "engine"} <= _wrong(found) | {"engine"}
    assert all(found[name][1].startswith(MUTE) for name in ("config", "ssh agent", "engine"))
    assert found["orphans"][1] == "Not checked: the engine does not answer"
    assert found["data dir"][0] == found["store"][0] == found["git"][0] == "ok"


def test_an_agent_that_accepts_and_never_answers(relay: InstalledRelay) -> None:
    with _silent(f"{relay.root}/agent"):
        found = _findings(replace(relay, more={**relay.more, "SSH_AUTH_SOCK": f"{relay.root}/agent"}))
    assert found["ssh agent"][0] == "broken"
    assert found["ssh agent"][1].startswith(MUTE)
    assert "ssh-agent" in found["ssh agent"][2]


def test_remotes_that_accept_and_never_answer_and_a_name_that_nobody_knows(relay: InstalledRelay) -> None:
    with ExitStack() as stack:
        ports = [stack.enter_context(_silent(("127.0.0.1", 0))) for _ in range(3)]
        _add_projects(
            relay,
            f"http://127.0.0.1:{ports[0]}/x.git",
            f"ssh://me@127.0.0.1:{ports[1]}/x.git",
            f"git://127.0.0.1:{ports[2]}/x.git",
            "https://nobody.knows.invalid/x.git",
        )
        found = _findings(relay)
    for name in ("remote a000", "remote a001", "remote a002"):
        assert found[name][:2] == ("broken", "No answer within 4 s: the check hangs")
        assert found[name][2].startswith("git ls-remote ")
    assert found["remote a003"][0] == "broken"


def test_two_hundred_dead_remotes_end_with_the_whole_look(relay: InstalledRelay) -> None:
    with _silent(("0.0.0.0", 0), 256) as port:
        of_one_host = [f"git://127.0.0.1:{port}/{number}" for number in range(100)]
        _add_projects(relay, *of_one_host, *(f"git://127.0.1.{number}:{port}/x" for number in range(1, 101)))
        found = _findings(relay, "5")
    remotes = {name: row for name, row in found.items() if name.startswith("remote ")}
    assert len(remotes) == 200
    assert remotes["remote a000"][1].startswith(MUTE)
    words = {row[1] for name, row in remotes.items() if "a001" <= name.split()[1] < "a100"}
    assert words <= {
        f"Not checked: 127.0.0.1:{port} does not answer",
        "Not checked: the 5 s for all checks were over",
    }
    assert "Not checked: the 5 s for all checks were over" in {row[1] for row in remotes.values()}
