"""Process sessions: the supervisor, the stored output, and the processes that end with a session."""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest
from conftest import missing
from processes import Bench, alive
from waiting import wait_until

from relay_tui.adapters.linux import oom
from relay_tui.adapters.process import control_client, hidden_paths
from relay_tui.adapters.process import runtime as process_runtime
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.adapters.process.session_dir import SessionDir
from relay_tui.adapters.process.streams import ProcessLog
from relay_tui.adapters.process.supervisor import journal, launcher_process
from relay_tui.adapters.process.supervisor import supervisor as supervisor_module
from relay_tui.adapters.process.supervisor.journal import STDERR, STDOUT, Entry, Reader, Writer
from relay_tui.domain.errors import ConflictError, EngineError, Fault, NotFoundError
from relay_tui.paths import DataDir
from relay_tui.ports.task import TaskContext
from relay_tui.services.sessions import observation
from relay_tui.services.sessions.observation import tail_excerpt


@pytest.fixture(params=["isolated", "bare"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A runtime whose processes are in a sandbox, or are not."""
    place = DataDir(tmp_path / "data")
    place.prepare()
    runtime = ProcessRuntime(place)
    if request.param == "isolated" and not runtime.isolation().works:
        missing(runtime.isolation().words)
    bench = Bench(place, runtime, request.param == "isolated")
    yield bench
    bench.clear()


def test_it_ends_with_its_code_and_both_streams_told_apart(bench: Bench) -> None:
    process_id = bench.made("echo out; echo err >&2; pwd; exit 3")
    assert bench.runtime.inspect(process_id).status == "created"
    bench.runtime.start(process_id)
    seen = bench.ended(process_id)
    assert (seen.exit_code, seen.signal, seen.lost) == (3, "", False)
    said = bench.output(process_id)
    assert said == {"stdout": f"out\n{bench.clone()}\n".encode(), "stderr": b"err\n"}
    stamped = b"".join(c.data for c in bench.runtime.logs(process_id, follow=True, timestamps=True, tail=3))
    assert re.fullmatch(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z [^\n]+\n){3}", stamped)


def test_a_signal_is_named(bench: Bench) -> None:
    seen = bench.ended(bench.run("kill -SEGV $$"))
    assert (seen.exit_code, seen.signal) == (139, "SIGSEGV")


def test_its_last_words_are_those_of_its_last_run(bench: Bench) -> None:
    script = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; echo run $n begins; "
    script += "printf '10%%\\r100%%\\033[31m done\\033[0m\\n'; exit 3"
    process_id = bench.made(script, tty=True)
    for run in range(3):
        bench.runtime.start(process_id)
        bench.ended(process_id)
        assert tail_excerpt(bench.runtime, process_id) == f"run {run} begins\n100% done"
    assert bench.output(process_id)["stdout"].count(b"begins") == 3  # the log has them all
    assert tail_excerpt(bench.runtime, "process-gone") == ""


def test_what_is_known_of_a_kill(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    process_id = bench.run("kill -KILL $$")
    seen = bench.ended(process_id)
    assert seen.signal == "SIGKILL"
    state = SessionDir(bench.place.processes / "s1").state
    kept = json.loads(state.read_text())
    assert isinstance(kept["kills_before"], int)
    after = kept["kills_before"]
    state.write_text(json.dumps({**kept, "kills_after": after}))
    assert "Not for want of memory" in bench.runtime.inspect(process_id).circumstance
    state.write_text(json.dumps({**kept, "kills_after": after + 1}))
    assert "killed a process here for want of memory" in bench.runtime.inspect(process_id).circumstance
    state.write_text(json.dumps({**kept, "signal": "SIGSEGV", "exit_code": 139}))
    assert bench.runtime.inspect(process_id).circumstance == ""
    lost = {**kept, "status": "running", "signal": "", "start": kept["start"] + 1}
    state.write_text(json.dumps({**lost, "boot": "another"}))
    assert bench.runtime.inspect(process_id).circumstance == "The machine was restarted."
    counter = tmp_path / "vmstat"
    counter.write_text(f"nr_free_pages 1\noom_kill {after + 2}\n")
    monkeypatch.setattr(oom, "_VMSTAT", counter)
    state.write_text(json.dumps(lost))
    assert "killed 2 processes here for want of memory" in bench.runtime.inspect(process_id).circumstance
    monkeypatch.setattr(oom, "_VMSTAT", tmp_path / "none")
    assert bench.runtime.inspect(process_id).circumstance == ""


def test_stopping_ends_all_of_it_also_what_left_its_group(bench: Bench) -> None:
    mark = str(random.randrange(10**8, 10**9))
    process_id = bench.run(f"setsid sh -c 'setsid sleep {mark} & sleep {mark}' & echo ready; sleep {mark}")
    bench.says(process_id, b"ready")
    wait_until(lambda: len([pid for pid in alive(mark) if _is_sleep(pid)]) == 3)
    bench.runtime.stop(process_id)
    seen = bench.runtime.inspect(process_id)
    assert (seen.status, seen.exit_code, seen.signal) == ("exited", 143, "SIGTERM")
    assert [pid for pid in alive(mark) if _is_sleep(pid)] == []


def _is_sleep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0")
    except OSError:
        return False


def test_what_will_not_end_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_runtime, "GRACE", 0.2)
    process_id = bench.run("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    bench.says(process_id, b"ready")
    bench.runtime.stop(process_id)
    seen = bench.runtime.inspect(process_id)
    assert (seen.exit_code, seen.signal) == (137, "SIGKILL")


def test_killing_its_supervisor_ends_it_and_is_told(bench: Bench) -> None:
    mark = str(random.randrange(10**8, 10**9))
    process_id = bench.run(f"setsid sleep {mark} & sleep {mark}", tty=True)
    wait_until(lambda: len([pid for pid in alive(mark) if _is_sleep(pid)]) == 2)
    heard: list[str] = []
    events = bench.runtime.events()
    listening = threading.Thread(target=lambda: heard.extend(events), daemon=True)
    listening.start()
    os.kill(bench.supervisor(process_id), signal.SIGKILL)
    wait_until(lambda: heard == ["s1"])  # only the kernel can have reported it
    seen = bench.runtime.inspect(process_id)
    assert (seen.status, seen.exit_code, seen.lost) == ("exited", None, True)
    wait_until(lambda: not [pid for pid in alive(mark) if _is_sleep(pid)])
    bench.runtime.start(process_id)
    assert bench.runtime.inspect(process_id).status == "running"
    events.close()
    listening.join(10)
    assert not listening.is_alive()


def test_no_program_holds_the_launchers_channel(bench: Bench) -> None:
    process_id = bench.run("ls /proc/self/fd; echo listed; sleep 1000")
    bench.says(process_id, b"listed")
    assert bench.output(process_id)["stdout"].split() == [b"0", b"1", b"2", b"3", b"listed"]  # 3 is ls's own
    answer = bench.runtime.exec_capture(process_id, ("sh", "-c", "echo hi >&3"), TaskContext())
    assert answer.code != 0
    assert b"ile descriptor" in answer.err
    assert bench.runtime.exec_capture(process_id, ("sh", "-c", "ls /proc/$$/fd"), TaskContext()).out.split() == [
        b"0",
        b"1",
        b"2",
    ]
    assert bench.runtime.inspect(process_id).status == "running"


GARBAGE = (b"hi\n", b"", b"7", b"null", b"[" * 100_000, b'{"ended": {}}', b'{"started": []}', b"\xff\xfe")


def test_what_a_launcher_says_that_means_nothing_is_not_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def babble(channel: int) -> None:
        line = socket.socket(fileno=channel)
        for said in (*GARBAGE[:5], b'{"ready": true}', *GARBAGE):
            line.send(said)
        line.recv(1)
        os._exit(3)

    monkeypatch.setattr(launcher_process, "_be_launcher", babble)
    told = launcher_process.LauncherProcess(None, "token")
    told.await_ready()
    heard = [told.message() for _ in GARBAGE]
    assert heard == [{}, {}, {}, {}, {}, {"ended": {}}, {"started": []}, {}]
    assert told.ended() is None
    told.signal(-1, signal.SIGTERM)
    wait_until(lambda: select.select([told], [], [], 0)[0] != [])
    assert told.message() is None
    assert told.reap() == 3


@pytest.mark.parametrize("half", ["outer", "inner"])
def test_killing_its_launcher_ends_it_at_once_and_is_told(bench: Bench, half: str) -> None:
    mark = str(random.randrange(10**8, 10**9))
    process_id = bench.run(f"setsid sleep {mark} & sleep {mark}")
    wait_until(lambda: len([pid for pid in alive(mark) if _is_sleep(pid)]) == 2)
    launcher = _child(bench.supervisor(process_id))
    os.kill(launcher if half == "outer" or not bench.isolated else _child(launcher), signal.SIGKILL)
    seen = bench.ended(process_id)
    assert (seen.exit_code, seen.signal, seen.lost) == (137, "SIGKILL", False)
    assert observation.exit_update(seen, "").reason == Fault("engine", "Stopped by SIGKILL (exit code 137)", "", ANY)
    assert [pid for pid in alive(mark) if _is_sleep(pid)] == []


def _child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_nobody_waits_for_a_supervisor_that_says_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_client, "_ANSWER_SECONDS", 0.3)
    process_id = bench.run("sleep 1000")
    supervisor = bench.supervisor(process_id)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        place = SessionDir(bench.place.processes / "s1")
        for call in (
            lambda: bench.runtime.exec_capture(process_id, ("true",), TaskContext()),
            lambda: control_client.resize(place, 2, 2),
        ):
            with pytest.raises(EngineError, match="does not answer"):
                call()
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert bench.runtime.exec_capture(process_id, ("true",), TaskContext()).code == 0


def test_who_asks_a_supervisor_for_nonsense_is_shown_the_door(bench: Bench) -> None:
    process_id = bench.run("sleep 1000")
    place = SessionDir(bench.place.processes / "s1")
    for words in (b"hi", b"{}", b"7", b"[" * 50_000, b'{"do": "stop", "grace": "x"}', b'{"do": "exec", "env": 1}'):
        line = control_client.connect(place)
        assert line is not None
        with line:
            line.sendall(words + b"\n")
            assert line.recv(1) == b""
    assert bench.runtime.exec_capture(process_id, ("true",), TaskContext()).code == 0


def test_keys_of_who_starts_it_stay_behind() -> None:
    add_key, keyctl = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
    libc = ctypes.CDLL(None)
    child = os.fork()
    if not child:
        key = libc.syscall(add_key, b"user", b"relay-test", b"secret", 6, -3)
        before = libc.syscall(keyctl, 10, -3, b"user", b"relay-test", 0)
        left = supervisor_module.join_new_session_keyring()
        after = [libc.syscall(keyctl, 10, -3, b"user", b"relay-test", 0), libc.syscall(keyctl, 11, key, None, 0)]
        os._exit(0 if (before, left, after) == (key, True, [-1, -1]) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_program_in_a_sandbox_cannot_ask_the_supervisor_of_another_session(bench: Bench) -> None:
    """Its socket is closed to it; should it find another way there, it is sent away."""
    if shutil.which("bwrap") is None:
        missing("no bubblewrap")
    process_id = bench.run("sleep 1000")
    place = SessionDir(bench.place.processes / "s1")
    ask = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('sock'); "
    ask += """s.sendall(b'{"do": "resize", "rows": 1, "columns": 1}\\n'); sys.stdout.buffer.write(s.recv(9))"""
    python = (os.path.realpath(sys.executable), "-I", "-S", "-c", ask)
    walls = ("bwrap", "--unshare-user", "--bind", "/", "/", "--dev", "/dev", "--")
    said = [subprocess.run(c, cwd=place.root, capture_output=True, check=False) for c in (python, (*walls, *python))]
    assert [done.stdout for done in said] == [b"{}\n", b""], said
    assert bench.runtime.inspect(process_id).status == "running"


def test_a_start_is_tried_again_when_a_socket_vanishes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = DataDir(tmp_path / "data")
    place.prepare()
    runtime = ProcessRuntime(place)
    if not runtime.isolation().works:
        missing(runtime.isolation().words)
    bench, found, lost = Bench(place, runtime, True), hidden_paths.find_hidden_paths, [Path("/usr/relay-no-such.sock")]

    def find(data_dir: Path, own: Sequence[Path]) -> hidden_paths.HiddenPaths:
        real = found(data_dir, own)
        return replace(real, files=(*real.files, *([lost.pop()] if lost else [])))

    monkeypatch.setattr(hidden_paths, "find_hidden_paths", find)
    assert bench.ended(bench.run("exit 3")).exit_code == 3
    assert lost == []


def test_what_outlives_both_supervisor_and_launcher_is_told_and_ended(tmp_path: Path) -> None:
    place = DataDir(tmp_path / "data")
    place.prepare()
    bench, mark = Bench(place, ProcessRuntime(place), isolated=False), str(random.randrange(10**8, 10**9))
    process_id = bench.run(
        f"exec 2>/dev/null; trap 'echo asked > asked; exit' TERM; setsid sleep {mark} & while :; do sleep 0.05; done"
    )
    wait_until(lambda: [pid for pid in alive(mark) if _is_sleep(pid)] != [])
    supervisor = bench.supervisor(process_id)
    launcher = _child(supervisor)
    for pid in (supervisor, launcher):
        os.kill(pid, signal.SIGSTOP)  # neither hears of the other's end
    for pid in (supervisor, launcher):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: bench.runtime.inspect(process_id).left >= 2)
    assert "of its programs still run" in str(observation.exit_update(bench.runtime.inspect(process_id), "").reason)
    bench.runtime.stop(process_id)
    assert [pid for pid in alive(mark) if _is_sleep(pid)] == []
    assert (bench.clone() / "asked").exists()
    seen = bench.runtime.inspect(process_id)
    assert (seen.status, seen.lost, seen.left) == ("exited", True, 0)
    bench.clear()


def test_a_pid_that_another_process_has_by_now_is_not_it(bench: Bench) -> None:
    process_id = bench.run("")
    state = SessionDir(bench.place.processes / "s1").state
    kept = json.loads(state.read_text())
    for wrong in ({"start": kept["start"] + 1}, {"boot": "another"}, {"pid": os.getpid()}):
        state.write_text(json.dumps(kept | wrong))
        assert bench.runtime.inspect(process_id).lost, wrong
    bench.runtime.remove(process_id)  # ends what really runs, and leaves alone who has the pid
    with pytest.raises(NotFoundError):
        bench.runtime.inspect(process_id)
    wait_until(lambda: not Path(f"/proc/{kept['pid']}").exists() or _is_zombie(kept["pid"]))


def _is_zombie(pid: int) -> bool:
    try:
        return b") Z" in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True


def test_a_command_that_is_not_there(bench: Bench) -> None:
    process_id = bench.made("")
    spec = SessionDir(bench.place.processes / "s1").spec
    spec.write_text(json.dumps(json.loads(spec.read_text()) | {"argv": ["no-such-program"]}))
    with pytest.raises(EngineError) as caught:
        bench.runtime.start(process_id)
    assert "no-such-program: No such file or directory" in caught.value.detail
    assert caught.value.hint
    seen = bench.runtime.inspect(process_id)
    assert (seen.status, seen.exit_code) == ("exited", 127)
    assert seen.error == caught.value.detail


def test_two_relays_start_it_at_once_and_it_runs_once(bench: Bench) -> None:
    process_id = bench.made("echo began; sleep 1000")
    other = ProcessRuntime(bench.place)
    with ThreadPoolExecutor(6) as pool:
        starts = [pool.submit(runtime.start, process_id) for runtime in (bench.runtime, other) for _ in range(3)]
    assert [start.result() for start in starts] == [None] * 6
    bench.says(process_id, b"began")
    assert bench.output(process_id)["stdout"] == b"began\n"
    other.stop(process_id)
    assert bench.runtime.inspect(process_id).status == "exited"


def test_a_program_beside_it_sees_what_it_sees(bench: Bench, tmp_path: Path) -> None:
    process_id = bench.run("echo here > $HOME/mark; sleep 1000")
    wait_until(lambda: (bench.place.processes / "s1/home/mark").exists())
    given = tmp_path / "given"
    given.write_bytes(b"x" * 300_000)
    answer = bench.runtime.exec_capture(
        process_id, ("sh", "-c", "wc -c; cat $HOME/mark; pwd; echo bad >&2; exit 7"), TaskContext(), given=given
    )
    assert (answer.code, answer.err) == (7, b"bad\n")
    assert answer.out.split() == [b"300000", b"here", str(bench.clone()).encode()]
    assert bench.runtime.exec_capture(process_id, ("no-such-program",), TaskContext()).code == 127
    bench.runtime.stop(process_id)
    with pytest.raises(ConflictError):
        bench.runtime.exec_capture(process_id, ("true",), TaskContext())


def test_what_it_takes_is_counted_over_all_its_processes(bench: Bench) -> None:
    process_id = bench.run("sh -c 'while :; do :; done' & echo ready; sleep 1000")
    bench.says(process_id, b"ready")
    stream = iter(bench.runtime.stats(process_id))
    first, second = next(stream), next(stream)
    assert first.cpu is None
    assert second.cpu is not None
    assert second.cpu > 0.05
    assert (second.memory or 0) > 1 << 20
    assert (second.pids or 0) >= 3
    bench.runtime.stop(process_id)
    assert list(stream) == []


def test_lines_have_times_of_their_own_and_are_followed(bench: Bench) -> None:
    process_id = bench.run("for i in $(seq 500); do echo line $i; done; echo bad >&2; printf unfinished")
    bench.ended(process_id)
    lines = [batch.parts(i) for batch in bench.runtime.log_lines(process_id, follow=True) for i in range(len(batch))]
    texts = [text for _, text in lines]
    assert [t for t in texts if t.startswith(b"line")] == [b"line %d" % i for i in range(1, 501)]
    assert {b"bad", b"unfinished"} <= set(texts)
    assert len({time for time, _ in lines}) == len(lines)
    times = {text: time.decode() for time, text in lines}
    some = bench.runtime.log_lines(process_id, follow=False, since=times[b"line 100"], until=times[b"line 110"])
    assert [text for b in some for text in (b.parts(i)[1] for i in range(len(b)))] == texts[99:110]


def test_what_is_said_between_a_look_at_the_log_and_being_heard_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_id = bench.run("until [ -e go ]; do sleep 0.01; done; echo there; touch said; sleep 100")
    looked, read, present = threading.Event(), list[bytes](), ProcessLog._present

    def looks(log: ProcessLog) -> Iterator[Entry]:
        yield from present(log)
        looked.set()

    monkeypatch.setattr(ProcessLog, "_present", looks)
    os.kill(bench.supervisor(process_id), signal.SIGSTOP)
    stream = bench.runtime.logs(process_id, follow=True)
    threading.Thread(target=lambda: read.extend(chunk.data for chunk in stream), daemon=True).start()
    assert looked.wait(10)
    (bench.clone() / "go").touch()
    wait_until(lambda: (bench.clone() / "said").exists(), 20)
    os.kill(bench.supervisor(process_id), signal.SIGCONT)
    wait_until(lambda: read == [b"there\n"], 10)
    stream.close()


def test_a_log_that_is_followed_ends_with_its_run_though_the_next_speaks_already(bench: Bench) -> None:
    process_id = bench.run("n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; echo run $n; sleep 100")
    bench.says(process_id, b"run 0")
    stream = bench.runtime.logs(process_id, follow=True)
    bench.runtime.stop(process_id)
    bench.runtime.start(process_id)
    bench.says(process_id, b"run 1")
    assert b"".join(chunk.data for chunk in stream) == b"run 0\n"


# --- the log on disk --------------------------------------------------------------------------------------------------


def test_a_log_is_bounded_and_read_across_its_segments(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "log", segment=2000, kept=3)
    reader = Reader(tmp_path / "log")
    read = []
    for number in range(500):
        writer.write(STDERR if number % 3 == 0 else STDOUT, b"line %d\n" % number)
        read += [entry.data for entry in reader.entries()]
    assert read == [b"line %d\n" % number for number in range(500)]
    assert len(journal.segments(tmp_path / "log")) == 3
    assert sum(path.stat().st_size for path in (tmp_path / "log").iterdir()) <= 3 * 2000
    kept = list(Reader(tmp_path / "log").entries())
    assert kept[-1].data == b"line 499\n"
    assert {entry.stream for entry in kept} == {STDOUT, STDERR}


def test_short_runs_and_silent_ones_push_nothing_out_of_the_log(tmp_path: Path) -> None:
    for number in range(60):
        writer = Writer(tmp_path / "log", segment=2000, kept=3)
        if number % 3 == 0:
            writer.write(STDOUT, b"run %d\n" % number)
        writer.close()
    said = [entry.data for entry in Reader(tmp_path / "log").entries()]
    assert said == [b"run %d\n" % number for number in range(0, 60, 3)]
    assert len(journal.segments(tmp_path / "log")) == len(said) + 1
    for _ in range(2 * journal.MOST):
        Writer(tmp_path / "log", segment=2000, kept=3).write(STDOUT, b"x\n")
    assert len(journal.segments(tmp_path / "log")) == journal.MOST


def test_the_tail_is_what_the_whole_log_ends_with(tmp_path: Path) -> None:
    chance = random.Random(7)
    writer = Writer(tmp_path / "log", segment=300, kept=1000)
    said = b""
    for _ in range(200):
        data = b"".join(chance.choice([b"a", b"bc\n", b"\n", b"d" * 30]) for _ in range(chance.randrange(1, 9)))
        writer.write(STDOUT, data)
        said += data
    for end in (b"", b"\n"):
        if end:
            writer.write(STDOUT, end)
            said += end
        lines = said.splitlines(keepends=True)
        for wanted in (0, 1, 2, 3, 10, 57, len(lines), len(lines) + 5):
            found = b"".join(entry.data for entry in Reader(tmp_path / "log", tail=wanted).entries())
            assert found == b"".join(lines[len(lines) - min(wanted, len(lines)) :]), wanted


def test_a_record_cut_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    Writer(tmp_path / "log").write(STDOUT, b"one\n")
    (segment,) = (tmp_path / "log").iterdir()
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[:-3])
    Writer(tmp_path / "log").write(STDOUT, b"two\n")
    for tail in (None, 10):
        assert [entry.data for entry in Reader(tmp_path / "log", tail=tail).entries()] == [b"one\n", b"two\n"]
