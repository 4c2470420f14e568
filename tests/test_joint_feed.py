"""Merged log: the order of the lines, their history, the notices, and neither doubled nor missing lines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Container, FakeRuntime, Rig, build
from log_batches import moment
from on_screen import a_project, a_session
from waiting import wait_until

from relay_tui.domain.errors import EngineUnreachableError
from relay_tui.domain.log_batch import CONTINUED, NOTICE, STDERR, STDOUT, TIMELESS, LogBatch, pack_times
from relay_tui.domain.models import Session, SessionState
from relay_tui.services.logs import feed as log_feed
from relay_tui.services.logs.merge_order import Line, PartialLine, ReorderWindow, Timeline, with_source
from relay_tui.services.logs.merged_feed import MOST, LogSourceSpec, MergedLogFeed
from relay_tui.services.logs.resume import comparable
from relay_tui.services.logs.source import LogSource
from relay_tui.text.ansi import file_text, plain_text


def batch(*lines: tuple[float, str], flags: int = STDOUT) -> LogBatch:
    """Lines written at so many seconds."""
    written = [moment(round(second * 1000)) + b" " + text.encode() for second, text in lines]
    return pack_times(written, bytes([flags]) * len(written))


def texts(*merged: LogBatch) -> list[str]:
    """The lines without their times."""
    return [plain_text(one.parts(index)[1].decode()) for one in merged for index in range(len(one))]


def in_order(*logs: list[LogBatch]) -> LogBatch:
    """The logs a, b, c ... as one."""
    lines = sorted(line for number, batches in enumerate(logs) for line in Timeline(number).lines(batches))
    return with_source(lines, {number: b"%c " % (97 + number) for number in range(len(logs))}, before=-1)


def test_lines_come_by_time_each_behind_its_name() -> None:
    """Also where one log has several batches; of one moment, in the order of the logs."""
    merged = in_order(
        [batch((1, "one"), (3, "three")), batch((4, "four"))],
        [batch((2, "two"), (3, "also three"), flags=STDERR)],
    )
    assert texts(merged) == ["a one", "b two", "a three", "b also three", "a four"]
    assert list(merged.flags) == [STDOUT, STDERR, STDOUT, STDERR, STDOUT]
    assert merged.parts(1)[0] == moment(2000)


def test_a_line_without_a_time_stays_behind_the_one_before_it() -> None:
    timeless = pack_times([b"of a terminal"], bytes([TIMELESS]))
    merged = in_order([batch((5, "last")), timeless], [batch((4, "b"), (6, "later"))])
    assert texts(merged) == ["b b", "a last", "a of a terminal", "b later"]


def test_what_carries_on_a_long_line_stands_behind_it_without_a_name() -> None:
    """Joined, saved or copied, it is one line; behind another log's line it has its name."""
    long = [batch((1, "head")), pack_times([b"tail"], bytes([CONTINUED | TIMELESS]))]
    assert texts(in_order(long, [batch((1, "b"))])) == ["a head", "tail", "b b"]
    torn = with_source(Timeline(1).lines([batch((1, "tail"), flags=STDOUT | CONTINUED)]), {1: b"a "}, before=2)
    assert texts(torn) == ["a tail"]
    assert not torn.parts(0)[0]  # its time is that of the line's start, earlier than the lines between


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("step 1\rstep 2\rstep 3 of 4", "a step 3 of 4"),
        ("\rat 9%\rat 100%\r", "a at 100%"),
        ("wide\x1b[2K\x1b[1Gbar", "a bar "),
        ("ab\b\b\b\bcd", "a cd"),
        ("\x1b[1Gx\x1c\x1c\ry", "a y"),
        ("\x1b[31mred", "a red"),
    ],
)
def test_a_line_that_goes_back_leaves_its_name_alone(raw: str, shown: str) -> None:
    (line,) = (one.parts(0)[1].decode() for one in [in_order([batch((1, raw))])])
    assert plain_text(line) == shown
    assert file_text(line) == shown


def test_times_that_go_back_a_little_change_places_and_a_lot_stay() -> None:
    """stdout and stderr are stamped separately; a clock that is set back is another thing. Nothing is dropped."""
    assert texts(in_order([batch((5, "x"), (4.5, "y"), (6, "z"))])) == ["a y", "a x", "a z"]
    assert texts(in_order([batch((50, "x"), (10, "y"), (11, "z"))], [batch((12, "b"))])) == ["b b", "a x", "a y", "a z"]
    order = Timeline(1)
    order.lines([batch((50, "x"), (10, "y"))])
    assert order.stuck
    order.forget()
    (line,) = order.lines([batch((11, "z"))])
    assert line.moment == moment(11_000)


@pytest.mark.parametrize(
    ("time", "same"),
    [
        ("2026-11-24T10:00:00.123456789Z", "2026-11-24T10:00:00.123456789Z"),
        ("2026-11-24T12:00:00.123456789+02:00", "2026-11-24T10:00:00.123456789Z"),
        ("2026-11-24T10:00:00.5Z", "2026-11-24T10:00:00.500000000Z"),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00.000000000Z"),
    ],
)
def test_times_of_every_engine_compare(time: str, same: str) -> None:
    assert comparable(time.encode()).decode() == same


def test_a_window_lets_late_lines_go_before_those_that_wait() -> None:
    window = ReorderWindow(hold=1)
    a, b = Timeline(1), Timeline(2)
    window.add(a.lines([batch((10, "first"), (12, "third"))]), now=0.0)
    assert window.due(0.9) == []
    window.add(b.lines([batch((11, "second"), (13, "fourth"))]), now=0.9)
    assert [line.text for line in window.due(1.0)] == [b"first", b"second", b"third"]
    window.add(a.lines([batch((11.5, "late"))]), now=1.1)
    assert [line.text for line in window.due(2.2)] == [b"late", b"fourth"]
    assert (len(window), window.size) == (0, 0)


# --- the feed, over containers in memory ---


class Scene:
    """Sessions whose lines have the times that a test gives them."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.engine = Timed(rig.engine)
        self.project = a_project(rig, "alpha")
        self.feeds: list[MergedLogFeed] = []
        self.seen: list[str] = []

    def session(self, name: str, *lines: tuple[float, str], state: SessionState = SessionState.RUNNING) -> Session:
        """A session that has written so."""
        session = a_session(self.rig, self.project, name, state)
        self.say(session, *lines)
        return session

    def say(self, session: Session, *lines: tuple[float, str]) -> None:
        """Have it write."""
        data = b"".join(moment(round(second * 1000)) + b" " + text.encode() + b"\n" for second, text in lines)
        if data:
            self.rig.engine.of(session).say(data)

    def open(self, *sessions: Session, tail: int = 100, since: str = "") -> MergedLogFeed:
        """Follow them."""
        source = LogSource(self.engine)  # type: ignore[arg-type]
        voices = [voice(session) for session in sessions]
        feed = MergedLogFeed(source, voices, lambda: None, tail=tail, since=since, hold=0.05, quiet=0.15)
        self.feeds.append(feed)
        return feed

    def until(self, *words: str) -> list[str]:
        """Drain until these came; answer all that did."""

        def came() -> bool:
            self.seen += texts(*self.feeds[-1].drain())
            return all(word in self.seen for word in words)

        wait_until(came, what=f"{words} in {self.seen[-20:]}")
        return self.seen


class Timed:
    """The fake engine, but lines bring their own times."""

    def __init__(self, engine: FakeRuntime) -> None:
        self._engine = engine
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def log_lines(
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> TimedLines:
        """As an engine answers: the tail is counted from the end, then cut by the times."""
        self._engine.begin("log_lines")
        container = self._engine._find(container_id)
        if not follow:
            self.asked.append(container.spec.labels["relay.session"].rpartition(".")[2])
        return TimedLines(container, follow, tail, since.encode(), until.encode() or b"3", self._engine)


class TimedLines:
    """Stream of lines with times. It breaks when the engine becomes unreachable."""

    def __init__(
        self, container: Container, follow: bool, tail: int | None, since: bytes, until: bytes, engine: FakeRuntime
    ) -> None:
        self._container, self._follow, self._range, self._engine = container, follow, (since, until), engine
        self._closed = False
        self._tail = b""
        self._told = 0 if tail is None else max(0, len(self._lines()) - tail)

    def _lines(self) -> list[bytes]:
        return b"".join(self._container.output).split(b"\n")[:-1]

    def _over(self) -> bool:
        return self._closed or not self._follow or self._container.status != "running" or not self._engine.reachable

    def __iter__(self) -> Iterator[LogBatch]:
        while True:
            with self._container.changed:
                self._container.changed.wait_for(
                    lambda: len(self._lines()) > self._told or self._over() or self._rest() != self._tail, 0.02
                )
                fresh = self._lines()[self._told :][:10]
            if not self._engine.reachable:
                raise EngineUnreachableError("The engine does not answer")
            self._told += len(fresh)
            news, self._tail = self._rest() != self._tail, self._rest()
            wanted = [line for line in fresh if self._range[0] <= line[:30] <= self._range[1]]
            if wanted or news:
                yield pack_times(wanted, bytes(len(wanted)))
            if not fresh and self._over():
                return

    def partial_lines(self) -> LogBatch:
        """Return the text after the last newline."""
        return pack_times([self._tail], bytes([STDOUT])) if self._tail else pack_times([], b"")

    def _rest(self) -> bytes:
        return b"".join(self._container.output).rpartition(b"\n")[2]

    def close(self) -> None:
        """End it."""
        with self._container.changed:
            self._closed = True
            self._container.changed.notify_all()


def voice(session: Session, *, opening: str = "") -> LogSourceSpec:
    """A session's."""
    return LogSourceSpec(session.id, session.container_id, session.name.encode() + b" ", opening=opening)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(build(tmp_path / "data"))
    yield made
    for feed in made.feeds:
        feed.close()


def numbered(start: float, count: int, step: float = 1.0) -> list[tuple[float, str]]:
    """Lines written one after the other."""
    return [(start + number * step, f"{number}") for number in range(count)]


def past(feed: MergedLogFeed, wanted: int = 10) -> list[str]:
    """Everything before what was given out first."""
    lines: list[str] = []
    for _ in range(100):
        older = feed.older(wanted)
        lines = texts(*older.batches) + lines
        if older.complete:
            return lines
    raise AssertionError("there is always more")


def test_it_follows_all_and_lets_go_of_its_threads(scene: Scene) -> None:
    one, two = scene.session("one", (1, "x"), (3, "x")), scene.session("two", (2, "y"))
    before = threading.active_count()
    feed = scene.open(one, two)
    assert scene.until("one x", "two y") == ["one x", "two y", "one x"]
    scene.say(two, (4, "more"))
    scene.until("two more")
    feed.close()
    wait_until(lambda: threading.active_count() <= before)


def test_the_past_has_no_seam_between_logs_of_different_pace(scene: Scene) -> None:
    """`busy` is read back five seconds with as many lines as `calm` is read back an hour: until that is loaded,
    nothing of before is shown, and in the end every line once, in order."""
    busy = scene.session("busy", *numbered(1_000, 2_000))
    calm = scene.session("calm", *numbered(500, 50, 60))
    rare = scene.session("rare", (1, "long ago"), (2_999.5, "now"))
    feed = scene.open(busy, calm, rare, tail=30)
    scene.until("busy 1999", "calm 49", "rare now")
    assert scene.seen[0] == "busy 1970"
    assert "rare long ago" not in scene.seen
    scene.say(calm, (3_501, "while loading"))
    before = past(feed, wanted=300)
    scene.until("calm while loading")
    expected = sorted(
        [(at, 0, f"busy {text}") for at, text in numbered(1_000, 2_000)]
        + [(at, 1, f"calm {text}") for at, text in [*numbered(500, 50, 60), (3_501, "while loading")]]
        + [(1, 2, "rare long ago"), (2_999.5, 2, "rare now")]
    )
    assert before + scene.seen == [text for *_, text in expected]


def test_an_end_is_said_with_its_code_and_a_new_start_goes_on(scene: Scene) -> None:
    one, two = scene.session("one", (1, "x")), scene.session("two", (2, "y"))
    feed = scene.open(one, two)
    scene.until("one x", "two y")
    scene.rig.engine.of(one).become("exited", 3)
    assert scene.until("one ── ended, exit code 3 ──").count("one ── ended, exit code 3 ──") == 1
    assert (feed.ended, feed.connection) == (1, "")
    scene.rig.engine.of(one).become("running")
    feed.follow([voice(one, opening="again"), voice(two, opening="again")])
    scene.say(one, (9, "alive"))
    scene.until("one alive")
    assert scene.seen.count("one x") == 1
    scene.rig.engine.of(one).become("exited", 3)
    scene.rig.engine.of(two).become("exited", 0)
    scene.until("two ── ended, exit code 0 ──")
    wait_until(lambda: texts(*feed.drain()) == [] and feed.connection == "ended")


def test_what_ran_between_two_looks_is_not_missed(scene: Scene) -> None:
    """The run was so short that its session was never observed as running. Without a run, no second end is reported."""
    one, two = scene.session("one", (1, "x"), state=SessionState.STOPPED), scene.session("two", (2, "y"))
    feed = scene.open(one, two)
    scene.until("one ── ended ──", "two y")
    feed.follow([voice(one, opening="later"), voice(two)])
    wait_until(lambda: feed._parts[one.container_id].opening == "later" and feed.ended == 1)
    scene.say(one, (3, "short"))
    feed.follow([voice(one, opening="still later"), voice(two)])
    scene.until("one short")
    scene.say(two, (4, "z"))
    scene.until("two z")
    assert scene.seen == ["one x", "one ── ended ──", "two y", "one short", "one ── ended ──", "two z"]


def test_one_that_ended_before_says_so_where_it_ended(scene: Scene) -> None:
    one = scene.session("one", (1, "x"), state=SessionState.STOPPED)
    mute = scene.session("mute", state=SessionState.STOPPED)
    two = scene.session("two", (2, "y"))
    scene.open(one, mute, two)
    assert scene.until("two y") == ["one x", "one ── ended ──", "two y", "mute ── ended ──"]


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (0, ["one x", "two y", "one ── ended, exit code 3 ──", "two z"]),
        (4_000, ["one ── ended, exit code 3 ──", "two z"]),
        (6_000, ["two z"]),
    ],
)
def test_an_end_stands_at_its_time_and_one_before_what_is_asked_for_is_not_told(
    scene: Scene, since: int, told: list[str]
) -> None:
    one, two = scene.session("one", (1, "x"), state=SessionState.STOPPED), scene.session("two", (2, "y"), (9, "z"))
    ended = scene.rig.engine.of(one)
    ended.exit_code, ended.finished_at = 3, moment(5_000).decode()
    feed = scene.open(one, two, since=moment(since).decode() if since else "")
    wait_until(lambda: feed.ended == 1)
    assert scene.until("two z") == told
    scene.say(two, (10, "more"))
    assert scene.until("two more") == [*told, "two more"]


def test_a_lost_engine_comes_back_without_a_doubled_or_missing_line(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_feed, "BACKOFF", (0.02,))
    one, two = scene.session("one", *numbered(0, 5)), scene.session("two", *numbered(0.5, 5))
    feed = scene.open(one, two)
    scene.until("one 4", "two 4")
    scene.rig.engine.go_down()
    wait_until(lambda: feed.connection == "reconnecting")
    with pytest.raises(EngineUnreachableError):
        feed.older(10)
    scene.say(one, (20, "meanwhile"), (20, "at once"))
    scene.rig.engine.come_back()
    scene.say(two, (21, "after"))
    scene.until("one meanwhile", "one at once", "two after")
    assert len(scene.seen) == len(set(scene.seen)) == 13
    assert feed.connection == ""
    assert feed.older(10).complete


def test_sessions_join_and_go_while_it_is_open(scene: Scene) -> None:
    """One that joins is followed from then on; one that went keeps its lines, and its name in the past."""
    one, two = scene.session("one", *numbered(1, 9)), scene.session("two", (2.5, "y"))
    feed = scene.open(one, two, tail=4)
    scene.until("one 8")
    late = scene.session("late")
    feed.follow([voice(one), voice(two), voice(late)])
    assert len(feed) == 3
    scene.rig.engine.of(late).say(b"2099-01-01T00:00:00.000000000Z hello\n")
    scene.until("late hello")
    feed.follow([voice(one), voice(late)])
    scene.until("two ── removed ──")
    assert len(feed) == 2
    assert "two y" in past(feed)
    feed.follow([voice(one), replace(voice(late), container_id=two.container_id)])
    scene.until("late ── continues in a new container ──")


def test_no_more_than_so_many_at_once(scene: Scene) -> None:
    """However many sessions there are; those that are followed stay so in whatever order they come."""
    voices = [LogSourceSpec(f"s{number}", f"gone{number}") for number in range(MOST + 6)]
    feed = MergedLogFeed(LogSource(scene.rig.engine), voices, lambda: None, tail=1, quiet=0.05)
    scene.feeds.append(feed)
    assert len(feed) == MOST
    feed.follow(voices[::-1])
    assert len(feed) == MOST


def test_what_is_read_ahead_is_bounded_while_the_screen_does_not_drain(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By about what one log reads ahead, however many they are; in the end nothing is missing."""
    from relay_tui.services.logs import merged_feed

    monkeypatch.setattr(merged_feed, "ROOM", 40_000)
    sessions = [scene.session(f"s{number}", (1, "begin")) for number in range(4)]
    feed = scene.open(*sessions)
    scene.until(*(f"s{number} begin" for number in range(4)))
    count = 400
    for session in sessions:
        for number in range(count):
            scene.say(session, (2 + number, f"{number} " + "x" * 1_000))
        scene.say(session, (900, "last"))
    held: Callable[[], int] = lambda: feed._size + feed._window.size  # noqa: E731
    wait_until(lambda: held() >= 40_000)
    peak = max(held() for _ in range(2_000))
    assert peak < 4 * 40_000
    scene.until(*(f"s{number} last" for number in range(4)))
    assert len(scene.seen) == len(set(scene.seen)) == 4 * (count + 2)


def test_a_line_without_an_end_stands_below_until_it_has_one(scene: Scene) -> None:
    """Behind its name; while other logs go on; and then it is a line among the others, once."""
    one, two = scene.session("one", (1, "x")), scene.session("two", (2, "y"))
    feed = scene.open(one, two)
    scene.until("one x", "two y")
    scene.rig.engine.of(one).say(moment(3_000) + b" name? ")
    wait_until(lambda: texts(feed.begun) == ["one name? "])
    scene.say(two, (4, "z"))
    scene.until("two z")
    assert texts(feed.begun) == ["one name? "]
    scene.rig.engine.of(one).say(b"Ada\n")
    scene.until("one name? Ada")
    wait_until(lambda: not feed.begun)
    assert scene.seen == ["one x", "two y", "two z", "one name? Ada"]


@pytest.mark.parametrize("gap", [0.1, 0.5])
def test_what_is_begun_is_shown_once_it_stood_and_goes_with_its_line(gap: float) -> None:
    begun, line = PartialLine(hold=0.3), batch((1, "10%"))
    begun.update(line, 0.0)
    assert (len(begun.shown), begun.waits) == (0, True)
    begun.update(line, gap)
    assert len(begun.shown) == (gap >= 0.3)
    begun.update(pack_times([], b""), 1.0)
    assert begun.waits is bool(begun.shown) is (gap >= 0.3)
    begun.update(pack_times([], b""), 1.4)
    assert (len(begun.shown), begun.waits) == (0, False)


def test_a_notice_is_a_notice() -> None:
    line: Line = Timeline(1).notice("── ended ──", moment(5))
    assert line.flags == NOTICE | TIMELESS
    assert moment(5) < line.moment < moment(6)
