"""Readings: what the engine's messages mean, who is read and who is not, and what becomes of readers that end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import Rig, build
from on_screen import a_project, a_session
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime
from relay_tui.adapters.docker import stats as engine_stats
from relay_tui.domain.errors import NotFoundError
from relay_tui.domain.models import Session
from relay_tui.ports import ContainerSpec, Stats
from relay_tui.ports.task import TaskContext
from relay_tui.services import stats_feed
from relay_tui.services.stats_feed import ALIKE, KEPT, MOST, PATIENCE, StatsFeed


def message(second: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the engine's message at 10:00:<second> and half a second."""
    sent: dict[str, Any] = {
        "read": f"2026-11-24T10:00:{second:02}.500000123Z",
        "cpu_stats": {"cpu_usage": {"total_usage": second * 750_000_000}, "online_cpus": 8},
        "memory_stats": {"usage": 900, "limit": 2000, "stats": {"inactive_file": 300}},
        "pids_stats": {"current": 7, "limit": 4096},
        "networks": {"eth0": {"rx_bytes": second * 500, "tx_bytes": second * 10}, "eth1": {"rx_bytes": second * 100}},
    }
    return {**sent, **changes}


def test_a_message_and_the_one_before() -> None:
    """Rates lie between the two; of the first alone they are not known."""
    first = engine_stats.reading(message(10), None, None)
    assert (first.cpu, first.received, first.sent) == (None, None, None)
    assert (first.memory, first.memory_limit, first.pids, first.pids_limit, first.cpus) == (600, 2000, 7, 4096, 8)
    second = engine_stats.reading(message(12), message(10), 1.5)
    assert second.at == pytest.approx(first.at + 2)
    assert second.cpu == pytest.approx(0.75)
    assert second.received == pytest.approx(600)
    assert second.sent == pytest.approx(10)
    assert second.cpus == 1.5


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"networks": None}, {"received": None, "sent": None}),
        ({"pids_stats": {}}, {"pids": None, "pids_limit": None}),
        ({"pids_stats": {"current": 3, "limit": 18446744073709551615}}, {"pids": 3, "pids_limit": None}),
        ({"memory_stats": {"usage": 900, "stats": {"total_inactive_file": 100}}}, {"memory": 800}),
        ({"memory_stats": {"usage": 900, "limit": 9223372036854771712}}, {"memory": 900, "memory_limit": None}),
        ({"cpu_stats": {}}, {"cpu": None, "cpus": None}),
        ({"cpu_stats": {"cpu_usage": {"total_usage": 0}}}, {"cpu": 0.0}),
    ],
)
def test_what_an_engine_leaves_out_is_not_known(changes: dict[str, Any], known: dict[str, Any]) -> None:
    """A missing network, a missing limit or a restarted counter causes neither a wrong figure nor an exception."""
    found = engine_stats.reading(message(12, **changes), message(10), None)
    assert {name: getattr(found, name) for name in known} == known


def test_zeros_of_an_ended_container_are_no_reading() -> None:
    """The engine keeps sending messages for the container."""
    assert engine_stats.is_reading(message(1))
    assert not engine_stats.is_reading(message(1, read="0001-01-01T00:00:00Z"))
    assert not engine_stats.is_reading(message(1, memory_stats={}))


@pytest.mark.parametrize(
    ("config", "cpus"),
    [({}, None), ({"NanoCpus": 1_500_000_000}, 1.5), ({"CpuQuota": 50_000, "CpuPeriod": 100_000}, 0.5)],
)
def test_cpus_allowed(config: dict[str, Any], cpus: float | None) -> None:
    """Both forms of the limit are accepted."""
    assert engine_stats.cpus_allowed(config) == cpus


# --- the feed ----------------------------------------------------------------------------------------------------


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """Two running sessions, and a feed that looks at none of them yet."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        project = a_project(rig, "alpha")
        self.one, self.two = a_session(rig, project, "one"), a_session(rig, project, "two")
        self.clock = Clock()
        self.woken: list[float] = []
        self.feed = StatsFeed(rig.relay.runtime, lambda: self.woken.append(self.clock()), clock=self.clock)

    def want(self, *sessions: Session) -> None:
        """Look at these."""
        self.feed.want({session.id: session.container_id for session in sessions})

    def read(self, session: Session, *cpus: float) -> None:
        """Have the engine read these, and wait until they have come."""
        count = len(self.feed.history(session.id)) + len(cpus)
        first = next((stats.at for stats in reversed(self.feed.history(session.id))), 0.0)
        readings = [Stats(at=at, cpu=cpu) for at, cpu in enumerate(cpus, int(first) + 1)]
        self.rig.engine.of(session).measure(*readings)
        wait_until(lambda: len(self.feed.history(session.id)) == min(count, KEPT))

    def history(self, session: Session) -> list[float | None]:
        """The CPU readings."""
        return [stats.cpu for stats in self.feed.history(session.id)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(build(tmp_path / "data"))
    yield found
    found.feed.close()


def test_only_what_is_wanted_is_read(scene: Scene) -> None:
    """Another wish closes what is no longer looked at, at the engine too."""
    scene.want(scene.one)
    scene.read(scene.one, 0.1, 0.2)
    assert scene.woken
    assert scene.history(scene.one) == [0.1, 0.2]
    scene.want(scene.two)
    assert scene.rig.engine.measured[scene.one.container_id].closed
    assert scene.history(scene.one) == []
    scene.read(scene.two, 0.5)
    scene.feed.close()
    assert scene.rig.engine.measured[scene.two.container_id].closed


def test_it_tells_of_readings_at_its_pace_and_of_an_end_at_once(scene: Scene) -> None:
    """The first of another session's as well."""
    scene.feed.pace = 1.8
    scene.want(scene.one)
    for second in range(6):
        scene.clock.now = 100.0 + second
        scene.read(scene.one, 0.1)
    wait_until(lambda: scene.woken == [100.0, 102.0, 104.0])
    scene.want(scene.one, scene.two)
    scene.read(scene.two, 0.2)
    wait_until(lambda: scene.woken[3:] == [105.0])
    scene.rig.engine.of(scene.two).become("exited", 0)
    wait_until(lambda: scene.woken[4:] == [105.0])


def test_it_does_not_tell_of_what_goes_on_as_it_was(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread wakes for an idle session until it becomes active."""
    monkeypatch.setattr(stats_feed, "NAP", 0.0)
    scene.want(scene.one)
    scene.read(scene.one, *[0.0] * (ALIKE + 10))
    wait_until(lambda: len(scene.history(scene.one)) == ALIKE + 10)
    assert len(scene.woken) == ALIKE
    scene.read(scene.one, 0.3)
    wait_until(lambda: len(scene.woken) == ALIKE + 1)


def test_readings_that_say_the_same_are_read_together(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One waking for several of them; every one is kept, and what stirs is read as it comes again."""
    naps: list[float] = []

    plain = threading.Event.wait

    def nap(event: threading.Event, seconds: float | None = None) -> bool:
        if seconds != stats_feed.NAP:
            return plain(event, seconds)
        naps.append(seconds)
        scene.clock.now += seconds
        return event.is_set()

    monkeypatch.setattr(threading.Event, "wait", nap)
    scene.want(scene.one)
    container = scene.rig.engine.of(scene.one)
    container.measure(*(Stats(at=100 + second, cpu=0.0) for second in range(ALIKE + 12)))
    container.measure(*(Stats(at=200 + second, cpu=1.0 + second) for second in range(5)))
    wait_until(lambda: len(scene.history(scene.one)) == ALIKE + 17)
    assert naps == [stats_feed.NAP] * 3  # in 12 seconds
    assert scene.history(scene.one)[-5:] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_little_memory_given_back_is_no_news_and_a_slow_leak_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alike is what looks so beside the first of them, not beside the one before."""
    monkeypatch.setattr(stats_feed, "NAP", 0.0)
    scene.want(scene.one)
    container, count = scene.rig.engine.of(scene.one), ALIKE + 30
    container.measure(*(Stats(at=n, cpu=0.0, memory=9_000_000 - n * 4096) for n in range(count)))
    wait_until(lambda: len(scene.history(scene.one)) == count)
    assert len(scene.woken) == ALIKE
    container.measure(*(Stats(at=100 + n, cpu=0.0, memory=9_000_000 + n * 90_000) for n in range(10)))
    wait_until(lambda: len(scene.history(scene.one)) == KEPT)
    wait_until(lambda: len(scene.woken) == ALIKE + 7)  # from what is a quarter of a mebibyte more


def test_close_ends_a_nap(scene: Scene) -> None:
    """Closing ends it at once: no thread remains for a session that is not displayed."""
    scene.want(scene.one)
    scene.read(scene.one, *[0.0] * (ALIKE + 1))
    (napping,) = (thread for thread in threading.enumerate() if thread.name == f"stats {scene.one.container_id[:12]}")
    scene.feed.close()
    napping.join(stats_feed.NAP / 2)
    assert not napping.is_alive()


def test_no_more_than_a_minute_is_kept(scene: Scene) -> None:
    """Bounded, the newest last."""
    scene.want(scene.one)
    scene.read(scene.one, *map(float, range(KEPT + 5)))
    wait_until(lambda: scene.history(scene.one)[-1] == KEPT + 4)
    assert scene.history(scene.one) == [float(number) for number in range(5, KEPT + 5)]


def test_no_more_than_so_many_at_once(scene: Scene) -> None:
    """Whatever is wanted: the first ones."""
    scene.feed.want({f"s{number}": f"c{number}" for number in range(MOST + 20)})
    assert len(scene.feed._readers) == MOST
    wait_until(lambda: all(scene.feed.error(f"s{number}") is not None for number in range(MOST)))


def test_what_ended_has_no_figures_and_is_begun_again(scene: Scene) -> None:
    """A session that stopped shows nothing old; running again, it is read again, after a pause and not before."""
    scene.want(scene.one)
    scene.read(scene.one, 0.3)
    container = scene.rig.engine.of(scene.one)
    container.become("exited", 0)
    wait_until(lambda: scene.history(scene.one) == [])
    container.become("running")
    stream = scene.rig.engine.measured[scene.one.container_id]
    wait_until(lambda: scene.feed._readers[scene.one.id].over_since(scene.clock()))
    scene.want(scene.one)
    assert scene.rig.engine.measured[scene.one.container_id] is stream
    scene.clock.now += PATIENCE
    scene.want(scene.one)
    wait_until(lambda: scene.rig.engine.measured[scene.one.container_id] is not stream)
    wait_until(lambda: scene.history(scene.one) == [0.3])


def test_an_engine_that_is_away_is_trouble_not_a_crash(scene: Scene) -> None:
    """The reason is reported."""
    scene.rig.engine.go_down()
    scene.want(scene.one)
    wait_until(lambda: scene.feed.error(scene.one.id) is not None)
    trouble = scene.feed.error(scene.one.id)
    assert trouble is not None
    assert trouble.title == "The engine does not answer"


# --- a real engine -----------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_busy_container_is_read_until_it_ends(runtime: DockerRuntime, tmp_path: Path) -> None:
    """One that takes all the CPU it may: half of one, in 64 MiB. Then it ends, and so do the readings."""
    work = tmp_path / "clone"
    work.mkdir()
    spec = ContainerSpec(
        name="relay-test-stats",
        image="relay-test/busybox",
        command=("sh", "-c", "while :; do :; done"),
        workspace=work,
        labels={"relay.session": "s1", "relay.project": "p1"},
        cpus=0.5,
        memory=64 << 20,
        pids_limit=50,
    )
    container_id = runtime.create(spec, TaskContext())
    runtime.start(container_id)
    stream = runtime.stats(container_id)
    readings = iter(stream)
    first, *_, last = (next(readings) for _ in range(3))
    assert first.cpu is None
    assert last.cpu is not None
    assert 0.2 < last.cpu < 0.8
    assert last.cpus == 0.5
    assert last.memory is not None
    assert 0 < last.memory < 64 << 20
    assert last.memory_limit == 64 << 20
    assert last.pids is not None
    assert last.pids >= 1
    assert last.received is not None
    assert last.at > first.at
    runtime.stop(container_id)
    assert len(list(readings)) < 10
    runtime.remove(container_id)
    with pytest.raises(NotFoundError):
        runtime.stats(container_id)


@pytest.mark.engine
def test_close_ends_a_wait_for_the_next_reading(runtime: DockerRuntime, tmp_path: Path) -> None:
    """From another thread, without waiting for the engine."""
    (tmp_path / "clone").mkdir()
    labels = {"relay.session": "s1", "relay.project": "p1"}
    spec = ContainerSpec(
        name="relay-test-stats", image="relay-test/busybox", workspace=tmp_path / "clone", labels=labels
    )
    container_id = runtime.create(spec, TaskContext())
    runtime.start(container_id)
    stream = runtime.stats(container_id)
    came, ended = threading.Event(), threading.Event()

    def read() -> None:
        for _ in stream:
            came.set()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert came.wait(20)
    stream.close()
    assert ended.wait(20)
