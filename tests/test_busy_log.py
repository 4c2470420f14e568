"""The log of a session that writes without end, asked for without following it: it ends at what was there then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
from installed_relay import IMAGE
from processes import Bench
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.adapters.process.supervisor.journal import STDERR, STDOUT, Reader, Writer
from relay_tui.paths import DataDir
from relay_tui.ports import Runtime

Busy = tuple[Runtime, str]
ENDLESS = "yes 0123456789"


@pytest.mark.parametrize(("tail", "expected"), [(None, range(40)), (3, range(37, 40)), (0, range(0))])
@pytest.mark.parametrize("since", [0, 1])
def test_what_comes_while_it_is_read_is_not_part_of_it(
    tmp_path: Path, tail: int | None, since: int, expected: range
) -> None:
    writer = Writer(tmp_path / "log", segment=200, kept=100)
    numbers = itertools.count()

    def say(lines: int) -> None:
        for number in itertools.islice(numbers, lines):
            writer.write(STDERR if number % 3 else STDOUT, b"line %d\n" % number)

    say(40)
    reader = Reader(tmp_path / "log", tail=tail, since=since, follow=False)
    say(5)
    found = b""
    for entry in itertools.islice(reader.entries(), 1000):
        found += entry.data
        say(5)
    assert found == b"".join(b"line %d\n" % number for number in expected)
    assert not list(reader.entries())


def test_it_ends_also_when_all_of_it_is_deleted_while_it_is_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "log", segment=200, kept=3)
    for number in range(40):
        writer.write(STDOUT, b"line %d\n" % number)
    reader = Reader(tmp_path / "log", follow=False)
    entries = reader.entries()
    next(entries)
    for number in range(1000):
        writer.write(STDOUT, b"newer %d\n" % number)
    assert all(entry.data.startswith(b"line") for entry in entries)


@pytest.fixture(params=["process", "docker", "docker-tty"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Busy]:
    """A session that writes without end, and its runtime."""
    if request.param == "process":
        place = DataDir(tmp_path / "data")
        place.prepare()
        bench = Bench(place, ProcessRuntime(place), isolated=False)
        yield bench.runtime, bench.run(ENDLESS)
        bench.clear()
        return
    client: docker.DockerClient = request.getfixturevalue("engine")
    runtime: DockerRuntime = request.getfixturevalue("runtime")
    labels = {"relay.data-dir": str(request.getfixturevalue("containers"))}
    tty = request.param == "docker-tty"
    made = client.containers.run(IMAGE, ["sh", "-c", ENDLESS], detach=True, tty=tty, labels=labels, init=True)
    yield runtime, str(made.id)
    made.remove(force=True)


@pytest.mark.engine
def test_the_log_of_a_busy_session_ends(busy: Busy) -> None:
    runtime, session = busy

    def read(tail: int | None = None, since: str = "") -> bytes:
        return b"".join(chunk.data for chunk in runtime.logs(session, follow=False, tail=tail, since=since))

    wait_until(lambda: read(2), 20)
    line = b"0123456789\r\n" if b"\r" in read(2) else b"0123456789\n"

    def whole(said: bytes) -> list[bytes]:
        """Return the complete lines. The last one may be partial."""
        *lines, last = said.splitlines(keepends=True)
        assert set(lines) <= {line}
        assert line.startswith(last)
        return [*lines, last]

    now = datetime.now(UTC).isoformat()
    wait_until(lambda: read(since=now), 20)
    for since in ("", now):
        assert whole(read(since=since))
        assert len(whole(read(2, since=since))) == 2
    assert len(whole(read(500))) == 500
    assert read(0) == b""
