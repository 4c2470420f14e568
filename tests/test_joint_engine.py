"""Several logs as one over a real engine, and over containers and processes together: every line once, by time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import docker
import pytest
from faults import relayed_engine
from installed_relay import IMAGE
from log_batches import texts, told
from processes import Bench
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.domain.log_batch import NOTICE, LogBatch
from relay_tui.paths import DataDir
from relay_tui.ports import Runtime
from relay_tui.services.logs import feed
from relay_tui.services.logs.merged_feed import LogSourceSpec, MergedLogFeed
from relay_tui.services.logs.source import LogSource
from relay_tui.services.runtime_router import RuntimeRouter

pytestmark = pytest.mark.engine
COUNTING = "i=0; while [ $i -lt %d ]; do echo $i; i=$((i+1)); [ $((i %% 20)) = 0 ] && usleep 5000; done; exit %d"
Run = Callable[[str], str]


@pytest.fixture
def run(engine: docker.DockerClient, containers: Path) -> Run:
    """Starts a container of the test's own."""

    def start(command: str) -> str:
        labels = {"relay.data-dir": str(containers)}
        made = engine.containers.run(IMAGE, ["sh", "-c", command], detach=True, labels=labels, init=True)
        return str(made.id)

    return start


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Bench]:
    """A runtime of processes, without a sandbox: it works everywhere."""
    place = DataDir(tmp_path / "data")
    place.prepare()
    bench = Bench(place, ProcessRuntime(place), isolated=False)
    yield bench
    bench.clear()


class Together:
    """Drains a joint feed."""

    def __init__(self, runtime: Runtime, containers: Sequence[str], *, tail: int = 1_000) -> None:
        self.batches: list[LogBatch] = []
        self.voices = [LogSourceSpec(f"s{n}", container, b"%c " % (97 + n)) for n, container in enumerate(containers)]
        self.feed = MergedLogFeed(LogSource(runtime), self.voices, lambda: None, tail=tail)

    @property
    def lines(self) -> list[str]:
        """Everything so far but notices."""
        return [text for text, _, flags in self._told if not flags & NOTICE]

    @property
    def notices(self) -> list[str]:
        """Notices in the log."""
        return [text for text, _, flags in self._told if flags & NOTICE]

    @property
    def times(self) -> list[bytes]:
        """Timestamps of the lines, in the order shown."""
        return [time for _, time, flags in self._told if not flags & NOTICE]

    @property
    def _told(self) -> list[tuple[str, bytes, int]]:
        self.batches += self.feed.drain()
        return told(self.batches)

    def load_all(self) -> None:
        """Back to the first line."""
        while True:
            older = self.feed.older(2_000)
            self.batches[:0] = older.batches
            if older.complete:
                return

    def counted(self, name: str, count: int) -> bool:
        """Return whether all lines of a log are present, once and in order."""
        return [line for line in self.lines if line.startswith(name)] == [f"{name} {n}" for n in range(count)]


def alternations(lines: Sequence[str]) -> int:
    """Count the lines that follow a line of another log."""
    return sum(one[0] != other[0] for one, other in pairwise(lines))


def test_two_containers_interleave_live_and_in_the_past(run: Run, runtime: DockerRuntime) -> None:
    together = f"while [ $(date +%s) -lt {int(time.time()) + 4} ]; do usleep 10000; done; "
    containers = [run(together + COUNTING % (3_000, 0)), run(together + COUNTING % (3_000, 4))]
    live = Together(runtime, containers)
    wait_until(lambda: len(live.notices) == 2, 60, "both ends")
    live.load_all()  # what was written before it opened, if it opened late
    live.feed.close()
    assert sorted(live.notices) == ["a ── ended, exit code 0 ──", "b ── ended, exit code 4 ──"]
    again = Together(runtime, containers, tail=200)
    wait_until(lambda: again.lines and again.feed.ended == 2, 60, "both ends again")
    assert len(again.lines) < 450
    again.load_all()
    again.feed.close()
    for reader in (live, again):
        assert reader.counted("a", 3_000)
        assert reader.counted("b", 3_000)
        assert alternations(reader.lines) > 0  # the engine decides how often; lines are ordered by time
    assert again.times == sorted(again.times)


def test_an_engine_that_goes_and_comes_doubles_and_loses_nothing(
    run: Run, containers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BACKOFF", (0.02,))
    made = [run(COUNTING % (4_000, 0)), run(COUNTING % (4_000, 0))]
    with relayed_engine(tmp_path / "engine.sock") as proxy:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
        reader = Together(DockerRuntime(containers, tmp_path), made, tail=100_000)
        for more in range(1, 3):
            wait_until(lambda more=more: len(reader.lines) > 1_000 * more, 30, "lines")  # type: ignore[misc]
            proxy.stop()
            wait_until(lambda: reader.feed.connection == "reconnecting", 30, "the break to be noticed")
            proxy.start()
            wait_until(lambda: reader.feed.connection != "reconnecting", 30, "the engine's return")
        wait_until(lambda: len(reader.notices) == 2, 60, "both ends")
    reader.feed.close()
    assert reader.counted("a", 4_000)
    assert reader.counted("b", 4_000)


def test_a_process_and_a_container_in_one_log(run: Run, runtime: DockerRuntime, processes: Bench) -> None:
    """Both have the same clock, and each has its end. A restarted session continues."""
    both = RuntimeRouter(docker=runtime, process=processes.runtime)
    script = "i=0; while [ $i -lt 1500 ]; do echo $i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.005; done; exit 3"
    process = processes.run(script)
    container = run(COUNTING % (1_500, 4))
    assert both.wait(process, 30).exit_code == 3
    assert both.wait(container, 30).exit_code == 4
    reader = Together(both, [process, container], tail=100)
    wait_until(lambda: reader.lines and reader.feed.ended == 2, 30, "both ends")
    reader.load_all()
    assert sorted(reader.notices) == ["a ── ended, exit code 3 ──", "b ── ended, exit code 4 ──"]
    assert reader.counted("a", 1_500)
    assert reader.counted("b", 1_500)
    assert reader.times == sorted(reader.times)
    both.start(process)
    again = LogSourceSpec("s0", process, b"a ", opening="again")
    reader.feed.follow([again, reader.voices[1]])
    wait_until(lambda: len(reader.notices) == 3, 30, "the second end")
    assert len([line for line in reader.lines if line.startswith("a")]) == 3_000
    reader.feed.close()


def test_a_line_that_took_long_stands_where_it_ended_and_has_that_time(processes: Bench) -> None:
    """Live, behind what was written while it grew; and in the past at the same place."""
    wait = "until [ -e %s ]; do sleep 0.01; done; "
    slow = processes.run("printf 'building ...'; " + wait % "go" + "echo ' done'", "slow")
    other = processes.run("echo one; " + wait % "go" + "echo two", "other")
    reader = Together(processes.runtime, [slow, other])
    wait_until(
        lambda: reader.lines == ["b one"] and texts([reader.feed.begun]) == ["a building ..."], 20, "a beginning"
    )
    (processes.clone("other") / "go").touch()
    wait_until(lambda: "b two" in reader.lines, 20, "what another one says meanwhile")
    (processes.clone("slow") / "go").touch()
    wait_until(lambda: reader.feed.ended == 2 and "a building ... done" in reader.lines, 20, "its end")
    reader.feed.close()
    again = Together(processes.runtime, [slow, other])
    wait_until(lambda: len(again.lines) == 3, 20, "all of it once more")
    again.feed.close()
    for one in (reader, again):
        assert one.lines == ["b one", "b two", "a building ... done"]
        assert one.times == sorted(one.times)
