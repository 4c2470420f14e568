"""Process sessions from the user's side: terminal, rotated log, end, and a second relay."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from conftest import Open, missing
from fakes import Rig, build
from git_servers import make_repository
from installed_relay import InstalledRelay
from on_screen import shown
from processes import Bench, alive
from test_runtimes import FakeProcesses
from waiting import wait_until

from relay_tui.adapters.process import runtime as process_runtime
from relay_tui.adapters.process import sandbox
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.adapters.process.session_dir import SessionDir
from relay_tui.adapters.process.supervisor.journal import segments
from relay_tui.config import Config, Profile
from relay_tui.domain.models import SessionState
from relay_tui.paths import DataDir
from relay_tui.ports.task import TaskContext
from relay_tui.services.runtime_router import PROCESS
from relay_tui.services.sessions.drafts import NewSession

_ECHO = r"""
import os, signal, sys
def size(*_):
    print("size %dx%d" % os.get_terminal_size(0), flush=True)
signal.signal(signal.SIGWINCH, size)
size()
for line in sys.stdin:
    print("got", line.strip(), flush=True)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A runtime whose processes are in no sandbox: what is tried here is the same in one."""
    place = DataDir(tmp_path / "data")
    place.prepare()
    bench = Bench(place, ProcessRuntime(place), isolated=False)
    yield bench
    bench.clear()


def test_attached_on_a_terminal_it_is_typed_to_resized_and_left_running(
    relay: InstalledRelay, open_screen: Open
) -> None:
    if not (found := sandbox.probe(relay.root)).works:
        missing(found.words)
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    if python is None:
        missing("no python3 of the machine's")
    relay.config.write_text(f"[profiles.echo]\ncommand = {json.dumps([python, '-c', _ECHO])}\n")
    source = make_repository(relay.root / "demo")
    relay.json("project", "add", source, "--profile", "echo", "--runtime", "process")
    try:
        first = open_screen("session", "attach", "main", width=91, height=27)
        first.wait_for("attached to .*main.* ctrl.q leaves it running")
        first.wait_for("size 91x27")
        first.type("hello\r")
        first.wait_for("got hello")
        first.resize(113, 33)
        first.wait_for("size 113x33")
        first.press("C-q")
        assert first.wait_end() == 0
        assert relay.json("session", "show", "main")["state"] == "running"
        again = open_screen("session", "attach", "main", width=80, height=24)
        again.wait_for("size 80x24")
        again.type("there\r")
        again.wait_for("got there")
        again.hang_up()
        log = relay.run("session", "logs", "main").out
        assert log.count("got hello") == log.count("got there") == 1
        assert relay.json("session", "show", "main")["state"] == "running"
    finally:
        relay.run("project", "remove", "demo", "--yes")


def test_a_log_that_turns_while_it_is_followed_loses_and_doubles_no_line(bench: Bench) -> None:
    process_id = bench.made("i=0; while [ ! -e go ]; do sleep 0.01; done; seq 1 900000; seq 900001 1300000 >&2")
    bench.runtime.start(process_id)
    said: list[bytes] = []
    stream = bench.runtime.logs(process_id, follow=True)
    following = threading.Thread(target=lambda: said.extend(chunk.data for chunk in stream), daemon=True)
    following.start()
    (bench.clone() / "go").touch()
    following.join(60)
    assert not following.is_alive()
    assert len(segments(SessionDir(bench.place.processes / "s1").log)) >= 3
    numbers = sorted(int(line) for line in b"".join(said).split())
    assert numbers == list(range(1, 1_300_001))


def test_a_whole_group_that_ignores_term_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_runtime, "GRACE", 0.2)
    mark = str(random.randrange(10**8, 10**9))
    ignoring = f"trap '' TERM HUP; while :; do sleep {mark}; done"
    process_id = bench.run(f'(setsid sh -c "{ignoring}" &); sh -c "{ignoring}" & {ignoring}')
    wait_until(lambda: len([pid for pid in alive(mark) if _runs(pid, b"sleep")]) == 3)
    began = time.monotonic()
    bench.runtime.stop(process_id)
    assert time.monotonic() - began >= 0.2  # each was asked first
    assert alive(mark) == []
    seen = bench.runtime.inspect(process_id)
    assert (seen.status, seen.exit_code, seen.signal) == ("exited", 137, "SIGKILL")


def _runs(pid: int, program: bytes) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(program + b"\0")
    except OSError:
        return False


def test_another_relay_finds_what_this_one_started(bench: Bench) -> None:
    process_id = bench.run("n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.02; done")
    bench.says(process_id, b"tick 2\n")
    pid = bench.supervisor(process_id)
    other = replace(bench, runtime=ProcessRuntime(DataDir(bench.place.root)))
    (seen,) = other.runtime.list_containers()
    assert (seen.container_id, seen.status, seen.session_id) == (process_id, "running", "s1")
    other.runtime.start(process_id)  # it runs: no second process is started
    assert other.supervisor(process_id) == pid
    other.says(process_id, b"tick 9\n")
    assert other.output(process_id)["stdout"].count(b"tick 1\n") == 1
    assert other.runtime.exec_capture(process_id, ("echo", "beside"), TaskContext()).out == b"beside\n"
    other.runtime.stop(process_id)
    assert bench.runtime.inspect(process_id).signal == "SIGTERM"


def test_a_tree_that_forks_and_ends_is_counted_as_it_is(bench: Bench) -> None:
    spinning = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    process_id = bench.run(f"(sh -c '{spinning}; sleep 1000' & sleep 1000) & sleep 1000")
    stream = iter(bench.runtime.stats(process_id))
    counts: list[int] = []
    used: list[float] = []
    for reading in stream:
        counts.append(reading.pids or 0)
        used.append(reading.cpu or 0.0)
        if len(counts) >= 3 and counts[-1] >= 4:
            break
    assert counts[-1] >= 4  # two shells and their sleeps, however deep
    assert max(used) > 0.01
    bench.runtime.stop(process_id)
    assert list(stream) == []


# --- reports about a process session --------------------------------------------------------------------------------


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay without an engine, where a profile sets what no process can have."""
    profiles = {"default": Profile(name="default", memory=1 << 30, cpus=2, pids=64, image="node:22")}
    config = Config(path=tmp_path / "config.toml", glyphs="unicode", profiles=MappingProxyType(profiles))
    rig = build(tmp_path / "data", config=config, processes=FakeProcesses(works=True))
    project = rig.ready()
    made = rig.relay.sessions.register(NewSession(project=project.id, branch="dev", runtime=PROCESS))
    assert rig.relay.sessions.build(made.id, TaskContext()).state is SessionState.RUNNING
    return rig


async def test_limits_that_do_not_hold_are_told_on_the_row_and_in_info(rig: Rig) -> None:
    async with shown(rig, size=(160, 70)) as screen:
        await screen.until(lambda: "process no limits" in screen.row("dev"))
        assert "no limits" not in screen.row("main")
        await screen.press("j", "right_square_bracket")
        await screen.sees("A process cannot use settings of the profile: image node:22; memory 1 GiB; cpus 2; pids 64.")
        await screen.sees("not enforced  image node:22; memory 1 GiB; cpus 2; pids 64")


def test_a_first_session_whose_command_ends_well_is_told_as_that(relay: InstalledRelay) -> None:
    if not (found := sandbox.probe(relay.root)).works:
        missing(found.words)
    relay.config.write_text('[profiles.job]\ncommand = "echo done"\n')
    source = make_repository(relay.root / "demo")
    try:
        added = relay.run("project", "add", source, "--profile", "job", "--runtime", "process")
        assert (added.code, added.out) == (0, "Added demo; its first session main ended, exit code 0.\n")
    finally:
        relay.run("project", "remove", "demo", "--yes")


def test_limits_that_do_not_hold_are_told_on_the_command_line(relay: InstalledRelay) -> None:
    if not (found := sandbox.probe(relay.root)).works:
        missing(found.words)
    relay.config.write_text('[profiles.big]\nmemory = "1g"\npids = 64\n')
    source = make_repository(relay.root / "demo", branches=("main", "side"))
    relay.json("project", "add", source, "--runtime", "process")
    try:
        made = relay.run("session", "create", "demo", "--branch", "side", "--profile", "big")
        words = "A process cannot use settings of the profile: memory 1 GiB; pids 64."
        assert (made.code, words in made.err) == (0, True)
        assert words in relay.run("session", "show", "side").out
        assert words in str(relay.json("session", "show", "side")["notes"])
    finally:
        relay.run("project", "remove", "demo", "--yes")


def test_reconcile_ends_what_outlived_both_halves_of_a_supervisor(relay: InstalledRelay) -> None:
    broken = relay.root / "bin/bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    relay = replace(relay, more={"PATH": f"{broken.parent}:{os.environ['PATH']}"})
    mark = str(random.randrange(10**8, 10**9))
    command = f"trap '' HUP; sleep {mark} & sleep {mark}"
    relay.config.write_text(f'[profiles.default]\ncommand = "{command}"\n')
    source = make_repository(relay.root / "demo", branches=("main",))
    relay.json("project", "add", source, "--runtime", "process", "--not-isolated")
    try:
        row = relay.json("session", "show", "main")
        state = json.loads((relay.data / "processes" / str(row["id"]) / "state.json").read_text())
        halves = [
            state["pid"],
            *map(int, Path(f"/proc/{state['pid']}/task/{state['pid']}/children").read_text().split()),
        ]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped, neither hears of the other's end
            for pid in halves:
                os.kill(pid, number)
        said = "of its programs still run"
        wait_until(lambda: said in str(relay.json("session", "show", "main")["error_reason"]), 20)
        steps = relay.json("reconcile", "--dry-run")["steps"]
        assert [(step["act"], said in step["words"]) for step in steps] == [("end-left", True)]  # type: ignore[attr-defined]
        assert said in relay.run("doctor").out.replace("\n", " ")
        assert alive(mark)
        relay.json("reconcile")
        assert alive(mark) == []
        assert relay.json("session", "show", "main")["error_reason"]["title"] == "Its process is gone"  # type: ignore[index]
        assert relay.json("reconcile", "--dry-run")["steps"] == []
    finally:
        relay.run("project", "remove", "demo", "--yes")
