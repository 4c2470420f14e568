"""A session that ends and starts again faster than anybody looks: every line once, each run's end behind its lines."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import docker
import pytest
from installed_relay import IMAGE
from log_batches import told
from processes import Bench
from waiting import wait_until

from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.domain.log_batch import LogBatch
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerState, Runtime
from relay_tui.ports.runtime import LineStream
from relay_tui.services.logs.feed import LogFeed
from relay_tui.services.logs.merged_feed import LogSourceSpec, MergedLogFeed
from relay_tui.services.logs.source import LogSource

pytestmark = pytest.mark.engine
SCRIPT = """cd %s; n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; echo run $n begins; echo and runs >&2
printf "run $n "; until [ -e end$n ]; do sleep 0.01; done; echo ends; exit $((n+3))"""


class Unseeing:
    """Runtime that hides the state of its containers while a test asks for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.sees = threading.Event()
        self.sees.set()
        self.opens = threading.Event()
        self.opens.set()
        self.crosses = False
        self.waits = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._runtime, name)

    def inspect(self, container_id: str) -> ContainerState:
        """Once it may."""
        assert self.sees.wait(30)
        return self._runtime.inspect(container_id)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        """Of one that has ended once it may; a stream may go on in the next run, as the engine's now and then does."""
        if follow and self._runtime.inspect(container_id).status == "exited":
            self.waits = True
            assert self.opens.wait(30)
        stream = self._runtime.log_lines(container_id, follow=follow, tail=tail, since=since, until=until)
        return Crossing(self, container_id, stream) if follow and self.crosses else stream


class Crossing:
    """A log's lines, and the first of the run after the one that is followed."""

    def __init__(self, runtime: Unseeing, container_id: str, stream: LineStream) -> None:
        self._runtime, self._id, self._stream = runtime, container_id, stream

    def __iter__(self) -> Iterator[LogBatch]:
        yield from self._stream
        self._runtime.crosses = False
        assert self._runtime.sees.wait(30)
        wait_until(self._first, 20, "the next run's first line")
        yield from self._first()

    def _first(self) -> list[LogBatch]:
        batches = self._runtime._runtime.log_lines(self._id, follow=False)
        lines = [(batch, i) for batch in batches for i in range(len(batch))]
        return [batch.only([i]) for batch, i in lines if batch.parts(i)[1] == b"run 1 begins"]

    def partial_lines(self) -> LogBatch:
        """Return the partial line."""
        return self._stream.partial_lines()

    def close(self) -> None:
        """End it."""
        self._stream.close()


@dataclass
class Subject:
    """Container or process that counts its runs. Each run ends at the test's request."""

    runtime: Unseeing
    id: str
    end: Callable[[int], object]
    batches: list[LogBatch] = field(default_factory=list)
    runs: int = 1

    def restart(self) -> None:
        """Let this run end, and another begin."""
        self.end(self.runs - 1)
        assert self.runtime._runtime.wait(self.id, 20).status == "exited"
        self.runtime._runtime.start(self.id)
        self.runs += 1

    def said(self) -> list[str]:
        """Return the lines of all runs so far without stderr. The last run has not ended."""
        lines: list[str] = []
        for run in range(self.runs):
            lines += [f"run {run} begins", f"run {run} ends", f"── ended, exit code {run + 3} ──"]
        return lines[:-2]

    def is_told(self, feed: LogFeed | MergedLogFeed) -> bool:
        """Return whether exactly the lines of all runs so far have arrived."""
        self.batches += feed.drain()
        lines = [text for text, _, _ in told(self.batches)]
        return lines.count("and runs") == self.runs and [line for line in lines if line != "and runs"] == self.said()


@pytest.fixture(params=["docker", "process"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Of each kind."""
    if request.param == "process":
        place = DataDir(tmp_path / "data")
        place.prepare()
        bench = Bench(place, ProcessRuntime(place), isolated=False)
        process = bench.run(SCRIPT % ".")
        yield Subject(Unseeing(bench.runtime), process, lambda run: (bench.clone() / f"end{run}").touch())
        bench.clear()
        return
    client: docker.DockerClient = request.getfixturevalue("engine")
    labels = {"relay.data-dir": str(request.getfixturevalue("containers"))}
    made = client.containers.run(IMAGE, ["sh", "-c", SCRIPT % "/tmp"], detach=True, labels=labels, init=True)
    runtime = Unseeing(request.getfixturevalue("runtime"))
    yield Subject(runtime, str(made.id), lambda run: made.exec_run(["touch", f"/tmp/end{run}"]))


@pytest.fixture(params=["alone", "among others"])
def feed(request: pytest.FixtureRequest, subject: Subject) -> Iterator[LogFeed | MergedLogFeed]:
    """Its log by itself, or as the joint log has it."""
    runtime = cast(Runtime, subject.runtime)
    subject.runtime.crosses = "behind_lines_of_the_next_run" in request.node.name
    made: LogFeed | MergedLogFeed
    if request.param == "alone":
        made = LogFeed(runtime, subject.id, lambda: None, tail=100)
    else:
        made = MergedLogFeed(LogSource(runtime), [LogSourceSpec("s", subject.id)], lambda: None, tail=100)
    yield made
    made.close()


def test_runs_that_nobody_saw_are_told_with_their_ends(subject: Subject, feed: LogFeed | MergedLogFeed) -> None:
    wait_until(lambda: subject.is_told(feed), 20, "the first run")
    for unseen in (1, 1, 3):
        subject.runtime.sees.clear()
        for _ in range(unseen):
            subject.restart()
        subject.runtime.sees.set()
        wait_until(lambda: subject.is_told(feed), 20, "every run so far")


def test_an_end_told_behind_lines_of_the_next_run_says_when_it_was(
    subject: Subject, feed: LogFeed | MergedLogFeed
) -> None:
    subject.runtime.sees.clear()
    subject.restart()
    subject.runtime.sees.set()

    def words() -> list[str]:
        subject.batches += feed.drain()
        return [text for text, _, _ in told(subject.batches) if text != "and runs"]

    wait_until(lambda: "exited" in words()[-1], 20, "the end of the first run")
    assert words()[:-1] == ["run 0 begins", "run 0 ends", "run 1 begins"]
    assert re.fullmatch(r"── previous run exited at \d\d:\d\d:\d\d, exit code 3 ──", words()[-1])
    subject.end(1)
    wait_until(lambda: words()[4:] == ["run 1 ends", "── ended, exit code 4 ──"], 20, "the second run's end")


def test_one_whose_end_was_seen_goes_on_when_it_is_looked_at_again(
    subject: Subject, feed: LogFeed | MergedLogFeed
) -> None:
    wait_until(lambda: subject.is_told(feed), 20, "the first run")
    for unseen in (0, 2):
        subject.end(subject.runs - 1)
        wait_until(lambda: feed.status.ended if isinstance(feed, LogFeed) else feed.ended == 1, 20, "an end")
        subject.runtime._runtime.start(subject.id)
        subject.runs += 1
        for _ in range(unseen):
            subject.restart()
        if isinstance(feed, LogFeed):
            feed.resume()
        else:
            feed.follow([LogSourceSpec("s", subject.id, opening=f"after {subject.runs}")])
        wait_until(lambda: subject.is_told(feed), 20, "every run so far")


def test_one_that_has_ended_is_not_followed_into_its_next_run(subject: Subject) -> None:
    feed = LogFeed(cast(Runtime, subject.runtime), subject.id, lambda: None, tail=100)
    wait_until(lambda: subject.is_told(feed), 20, "the first run")
    subject.end(0)
    wait_until(lambda: feed.status.ended, 20, "its end")
    subject.runtime.opens.clear()
    subject.runtime.waits = False
    feed.resume()
    wait_until(lambda: subject.runtime.waits or not feed._reading, 20, "a look in vain")
    subject.runtime._runtime.start(subject.id)
    subject.runs += 1
    subject.restart()
    subject.runtime.opens.set()
    feed.resume()
    wait_until(lambda: subject.is_told(feed), 20, "every run so far")
    feed.close()
