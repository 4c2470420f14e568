"""A log followed over a real engine: every line once, whatever happens between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from faults import relayed_engine
from installed_relay import IMAGE
from log_batches import texts, told
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime
from relay_tui.domain.log_batch import CONTINUED, NOTICE, STDERR, STDOUT, LogBatch
from relay_tui.services.logs import feed
from relay_tui.services.logs.feed import LogFeed
from relay_tui.services.logs.resume import oldest_edge
from relay_tui.services.logs.source import read_older

pytestmark = pytest.mark.engine
Run = Callable[..., str]
COUNTING = """i=0; while [ $i -lt 3000 ]; do echo out $i; echo err $i >&2; i=$((i+1))
[ $((i % 50)) = 0 ] && usleep 20000; done"""


@pytest.fixture
def run(engine: docker.DockerClient, containers: Path) -> Run:
    """Starts a container of the test's own."""

    def start(command: str, *, tty: bool = False) -> str:
        labels = {"relay.data-dir": str(containers)}
        made = engine.containers.run(IMAGE, ["sh", "-c", command], detach=True, tty=tty, labels=labels, init=True)
        return str(made.id)

    return start


class Reader:
    """Drains a feed."""

    def __init__(self, runtime: DockerRuntime, container_id: str, *, tail: int = 100_000) -> None:
        self.batches: list[LogBatch] = []
        self.feed = LogFeed(runtime, container_id, lambda: None, tail=tail)

    @property
    def lines(self) -> list[str]:
        """Everything so far."""
        self.batches += self.feed.drain()
        return [text for text, _, _ in self.told]

    @property
    def told(self) -> list[tuple[str, bytes, int]]:
        """Text, time and flags of all that was drained but notices."""
        return [line for line in told(self.batches) if not line[2] & NOTICE]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Drain until it is so."""
        wait_until(lambda: (self.lines, condition())[1], 30, what=what)


def test_no_line_is_doubled_or_missed_when_the_engine_goes_and_comes(
    run: Run, containers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BACKOFF", (0.02,))
    container = run(COUNTING)
    with relayed_engine(tmp_path / "engine.sock") as proxy:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
        reader = Reader(DockerRuntime(containers, tmp_path), container)
        for more in range(1, 5):
            reader.until(lambda more=more: len(reader.lines) > 400 * more, "lines")  # type: ignore[misc]
            proxy.stop()
            reader.until(lambda: reader.feed.status.word == "reconnecting", "the break to be noticed")
            proxy.start()
            reader.until(lambda: reader.feed.status.word != "reconnecting", "the engine's return")
        reader.until(lambda: reader.feed.status.ended, "the end")
    assert reader.feed.status.exit_code == 0
    assert [line for line in reader.lines if line.startswith("out")] == [f"out {n}" for n in range(3000)]
    assert [line for line in reader.lines if line.startswith("err")] == [f"err {n}" for n in range(3000)]


@pytest.mark.parametrize("tty", [False, True])
def test_the_end_has_its_exit_code_and_a_new_start_goes_on(
    run: Run, runtime: DockerRuntime, engine: docker.DockerClient, *, tty: bool
) -> None:
    container = run("echo life $(cat /n 2>/dev/null); echo again > /n; exit 3", tty=tty)
    reader = Reader(runtime, container)
    reader.until(lambda: reader.feed.status.ended, "the end")
    assert (reader.feed.status.exit_code, reader.lines) == (3, ["life"])
    engine.containers.get(container).start()
    reader.feed.resume()
    reader.until(lambda: reader.feed.status.ended and len(reader.lines) > 1, "the second end")
    assert reader.lines == ["life", "life again"]


def test_streams_are_told_apart(run: Run, runtime: DockerRuntime) -> None:
    reader = Reader(runtime, run("echo out; echo err >&2"))
    reader.until(lambda: reader.feed.status.ended, "the end")
    assert sorted((text, flags) for text, _, flags in reader.told) == [("err", STDERR), ("out", STDOUT)]


@pytest.mark.parametrize("tty", [False, True])
def test_a_line_of_a_megabyte_comes_whole(run: Run, runtime: DockerRuntime, *, tty: bool) -> None:
    script = """awk 'BEGIN { for (i = 0; i < 125000; i++) printf "%08d", i; print ""; print "after" }'"""
    reader = Reader(runtime, run(script, tty=tty))
    reader.until(lambda: reader.feed.status.ended, "the end")
    lines = reader.told
    assert lines[-1][0] == "after"
    assert "".join(text for text, _, _ in lines[:-1]).rstrip("\r") == "".join(f"{n:08}" for n in range(125_000))
    assert all(flags & CONTINUED for _, _, flags in lines[1:-1])


def test_a_long_log_is_read_backwards_without_a_seam(run: Run, runtime: DockerRuntime) -> None:
    container = run("i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done")
    assert runtime.wait(container, 30).status == "exited"
    reader = Reader(runtime, container, tail=1_000)
    reader.until(lambda: reader.feed.status.ended, "the end")
    assert reader.lines == [f"line {n}" for n in range(8_000, 9_000)]
    batches = reader.batches
    while True:
        edge = oldest_edge(batches)
        assert edge is not None
        older = read_older(runtime, container, edge, held=len(texts(batches)), wanted=3_000)
        if older.complete:
            break
        batches = older.batches + batches
    assert texts(batches) == [*(f"line {n}" for n in range(9_000)), "── ended, exit code 0 ──"]
