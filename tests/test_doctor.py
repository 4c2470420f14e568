"""The doctor: what each check makes of a sound and of a broken world, and that nothing in it hangs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from fakes import Rig, build
from fakes_machine import ENGINE, GROUND, FakeMachine
from faults import small_disk
from git_servers import make_repository
from installed_relay import InstalledRelay
from on_screen import a_project, shown
from waiting import wait_until

from relay_tui.adapters.host import command as host_command
from relay_tui.config import Profile
from relay_tui.domain.errors import (
    CancelledError,
    EngineError,
    EngineUnreachableError,
    FileSystemError,
    GitError,
    InvalidInputError,
    NeedsConsentError,
    NotFoundError,
    RelayError,
    UnreachableReason,
)
from relay_tui.domain.models import Project, Records
from relay_tui.paths import DataDir
from relay_tui.ports.host import CommandResult, EngineFacts, HeldLock
from relay_tui.ports.runtime import Isolation
from relay_tui.ports.task import TaskContext
from relay_tui.services.doctor import runner, storage_checks, system_checks
from relay_tui.services.doctor.engine_checks import UNREACHABLE, EngineChecks
from relay_tui.services.doctor.results import Check, CheckResult, CheckStatus, ok
from relay_tui.services.reconcile.planner import Step, StepKind
from relay_tui.services.runtime_router import RuntimeChoice
from relay_tui.terminal_info import TerminalInfo, colours


def _silent(
    silence: UnreachableReason, why: str, mend: str, detail: str = "unix:///x: no such file"
) -> EngineUnreachableError:
    return EngineUnreachableError(
        "The engine does not answer", detail, f"{why}: {mend}", silence=silence, why=why, fix=mend
    )


MISSING = _silent(UnreachableReason.MISSING, "No container engine is installed", "apt-get install docker.io")
STOPPED = _silent(UnreachableReason.STOPPED, "Docker is installed but not running", "service docker start")
REFUSED = _silent(
    UnreachableReason.FORBIDDEN, "It is for the group docker", "usermod -aG docker", "unix:///x: permission denied"
)
MUTE = _silent(
    UnreachableReason.MUTE,
    "A program listens at this address but does not answer",
    "restart it",
    "unix:///x: no answer in time",
)
ASTRAY = _silent(UnreachableReason.ASTRAY, "The socket from $DOCKER_HOST does not exist", "unset DOCKER_HOST")
HELD = HeldLock("p1", "relay: Cloning, pid 7", 7, 30.0, False)
ROOT = Path("/srv/relay")
Change = Callable[[FakeMachine], object]


def _said(*command: str, code: int = 0, out: str = "", err: str = "") -> Change:
    key: object = command if len(command) > 1 else command[0]
    return lambda machine: machine.said.__setitem__(key, CommandResult(code, out, err))


def _without(*programs: str) -> Change:
    return lambda machine: machine.programs.difference_update(programs)


def _with(**values: object) -> Change:
    return lambda machine: vars(machine).update(values)


def _limits(*, rootless: bool = False, **held: bool) -> Change:
    return _with(facts=replace(ENGINE, rootless=rootless, limits=MappingProxyType(held)))


def _terminal(columns: int = 120, lines: int = 40, number: int = 256, *, utf8: bool = True) -> TerminalInfo:
    return TerminalInfo(columns, lines, number, "LANG=C.UTF-8" if utf8 else "LC_ALL=C", utf8, "xterm-256color")


PROFILES = (Profile(name="default"), Profile(name="large", memory=8 << 30, cpus=4))
CHECKS: dict[str, Callable[[FakeMachine], CheckResult]] = {
    "git": lambda m: system_checks.check_git(m, TaskContext()),
    "git identity": lambda m: system_checks.check_identity(m, TaskContext()),
    "git-lfs": lambda m: system_checks.check_git_lfs(m, TaskContext()),
    "tmux": lambda m: system_checks.check_tmux(m, TaskContext()),
    "ssh agent": lambda m: system_checks.check_ssh_agent(m, TaskContext(), needed=False),
    "ssh agent, needed": lambda m: system_checks.check_ssh_agent(m, TaskContext(), needed=True),
    "bubblewrap": lambda m: system_checks.check_bubblewrap(m, TaskContext()),
    "remote a": lambda m: system_checks.check_remote(m, TaskContext(), "a", "https://host.example/a.git"),
    "engine": lambda m: EngineChecks(m, PROFILES, needed=False, patience=1).check(),
    "engine, needed": lambda m: EngineChecks(m, PROFILES, needed=True, patience=1).check(),
    "locale": lambda _: system_checks.check_locale(_terminal()),
    "data dir": lambda m: storage_checks.check_data_dir(m, DataDir(ROOT)),
    "disk": lambda m: storage_checks.check_disk(m, DataDir(ROOT)),
    "locks": lambda m: storage_checks.check_locks(m, Records()),
}


@pytest.mark.parametrize("name", CHECKS)
def test_all_is_well_on_a_sound_machine(name: str) -> None:
    found = CHECKS[name](FakeMachine())
    assert (found.name, found.verdict) == (name.partition(",")[0], CheckStatus.OK), found
    assert found.found


@pytest.mark.parametrize(
    ("name", "change", "verdict", "found", "mend"),
    [
        ("git", _without("git"), "broken", "no git in $PATH", "apt-get install git"),
        ("git", _said("git", "--version", out="git version 2.20.1\n"), "broken", "2.20.1 is too old", "install git"),
        ("git", _said("git", "--version", code=127, err="not an ELF\n"), "broken", "not an ELF", "--reinstall git"),
        ("git identity", _said("git", "config", "--global", "user.name", code=1), "warning", "user.name not set",
         'git config --global user.name "YOUR NAME"'),
        ("git-lfs", _without("git-lfs"), "absent", "pointers", "apt-get install git-lfs"),
        ("git-lfs", _said("git-lfs", "version", code=2, err="boom"), "broken", "boom", "--reinstall git-lfs"),
        ("tmux", _without("tmux"), "absent", "lost SSH connection", "apt-get install tmux"),
        ("ssh agent", _with(variables={}), "absent", "SSH_AUTH_SOCK", "ssh-agent"),
        ("ssh agent, needed", _with(variables={}), "warning", "SSH_AUTH_SOCK", "ssh-agent"),
        ("ssh agent, needed", _said("ssh-add", "-l", code=1), "warning", "without keys", "ssh-add"),
        ("ssh agent", _said("ssh-add", "-l", code=2), "warning", "No agent answers", "ssh-agent"),
        ("bubblewrap", _without("bwrap"), "absent", "not isolated", "apt-get install bubblewrap"),
        ("bubblewrap", _with(isolated=Isolation(False, "bwrap: No permissions to creating new namespace")), "warning",
         "No permissions", "sysctl"),
        ("bubblewrap", _with(isolated=Isolation(False, "exit code 1")), "warning", "exit code 1", "bwrap"),
        ("bubblewrap", _with(isolated=Isolation(True, "bubblewrap", gap="sockets stay")), "warning", "; sockets stay",
         "uname -r"),
        ("engine", _with(facts=MISSING), "absent", "No container engine is installed: sessions run as processes",
         "docker.io"),
        ("engine, needed", _with(facts=MISSING), "broken", "installed (unix:///x: no such file)", "docker.io"),
        ("engine", _with(facts=STOPPED), "warning", "not running (unix:///x: no such file)", "service docker start"),
        ("engine", _with(facts=STOPPED, variables={"DOCKER_HOST": "unix:///x"}), "broken", "not running", "start"),
        ("engine", _with(facts=REFUSED), "warning", "for the group docker (unix:///x: permission denied)", "usermod"),
        ("engine", _with(facts=MUTE), "broken", "does not answer (unix:///x: no answer in time)", "restart it"),
        ("engine", _with(facts=ASTRAY), "broken", "socket from $DOCKER_HOST does not exist", "unset DOCKER_HOST"),
        ("engine", _with(facts=replace(ENGINE, local=False)), "broken", "on another machine", "docker context use"),
        ("engine", _with(facts=replace(ENGINE, local=False, origin="$DOCKER_HOST")), "broken", "on another machine",
         "unset DOCKER_HOST"),
        ("engine", _limits(memory=False, cpus=False, processes=True), "warning",
         "does not enforce limits on memory and cpus: not memory 8 GiB, cpus 4 of profile large", "docker info"),
        ("engine", _limits(rootless=True, memory=True, cpus=True, processes=False), "warning",
         "on processes: not processes 4096 of profile default; processes 4096 of profile large", "Delegate"),
        ("remote a", _with(remotes={"https://host.example/a.git": GitError("It asks for a name", "fatal: x", "Do.")}),
         "broken", "It asks for a name: fatal: x", "Do."),
        ("data dir", _with(lies=replace(GROUND, mode=0o755)), "broken", "mode 0755", "chmod 700 /srv/relay"),
        ("data dir", _with(lies=replace(GROUND, mode=0o755), writable=FileSystemError("/srv/relay cannot be written",
         "Read-only file system", "Remount it.")), "broken", "Read-only file system", "Remount it."),
        ("data dir", _with(lies=replace(GROUND, mine=False)), "broken", "another user", "chown"),
        ("data dir", _with(lies=replace(GROUND, network=True, kind="nfs4")), "warning", "nfs4", "--data-dir"),
        ("data dir", _with(lies=replace(GROUND, kind="tmpfs")), "warning", "in memory", "--data-dir"),
        ("data dir", _with(writable=FileSystemError("The disk is full", "x", "Free some.")), "broken", "full", "Free"),
        ("data dir", _with(lies=NotFoundError("gone"), writable=FileSystemError("x", "read-only", "")), "broken",
         "cannot be created: read-only", "--data-dir"),
        ("disk", _with(lies=replace(GROUND, free=10 << 20)), "broken", "too little", "relay purge"),
        ("disk", _with(lies=replace(GROUND, free=1 << 30)), "warning", "getting full", "relay purge"),
        ("locks", _with(locks=[replace(HELD, stopped=True)]), "broken", "stopped process", "kill -CONT 7"),
        ("locks", _with(locks=[replace(HELD, seconds=7200)]), "warning", "120 min", "kill 7"),
        ("locks", _with(locks=[HELD]), "ok", "p1: relay: Cloning, pid 7, for 30 s", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_mends_it(
    name: str, change: Change, verdict: str, found: str, mend: str
) -> None:
    machine = FakeMachine()
    change(machine)
    answer = CHECKS[name](machine)
    assert answer.verdict == verdict, answer
    assert found in answer.found
    assert mend in answer.fix


def test_a_key_in_the_agent_is_counted_and_not_named() -> None:
    assert "me@home" not in CHECKS["ssh agent"](FakeMachine()).found


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (_terminal(), CheckStatus.OK),
        (_terminal(60, 20), CheckStatus.WARNING),
        (_terminal(number=0), CheckStatus.WARNING),
        (_terminal(0, 0), CheckStatus.ABSENT),
    ],
)
def test_the_terminal(seen: TerminalInfo, verdict: CheckStatus) -> None:
    assert system_checks.check_terminal(seen).verdict is verdict


def test_colours_that_are_not_there_come_back() -> None:
    seen = _terminal(number=0)
    assert system_checks.check_terminal(seen).fix == "unset NO_COLOR"
    assert system_checks.check_terminal(replace(seen, name="dumb")).fix == "export TERM=xterm-256color"


def test_a_locale_that_is_not_utf8() -> None:
    found = system_checks.check_locale(_terminal(utf8=False))
    assert (found.verdict, found.fix) == (CheckStatus.WARNING, "export LC_ALL=C.UTF-8")
    assert "LC_ALL=C" in found.found


def test_colours_that_a_terminal_promises() -> None:
    said = [{"TERM": "dumb"}, {"TERM": "linux"}, {"TERM": "screen-256color"}, {"TERM": "x", "COLORTERM": "truecolor"}]
    assert [colours(environ) for environ in said] == [0, 16, 256, 1 << 24]


NOT_ISOLATED = RuntimeChoice("process", isolated=False, why="no engine answers (unix:///x: no such file)")
SANDBOX = replace(NOT_ISOLATED, isolated=True)
INSTEAD = replace(SANDBOX, asks=NeedsConsentError("instead", "No engine answers, and …"))
ASKED = replace(NOT_ISOLATED, asks=NeedsConsentError("not-isolated", "…", "…", "Install bubblewrap. Or agree to it."))
CONTAINER = RuntimeChoice("docker", why="the engine answers")
WHY = "no engine answers"


@pytest.mark.parametrize(
    ("facts", "usual", "alpha", "verdict", "found", "mend"),
    [
        (ENGINE, CONTAINER, CONTAINER, "ok", "New sessions are containers: the engine answers", ""),
        (MISSING, SANDBOX, SANDBOX, "ok", f"New sessions are processes in a sandbox: {WHY}", ""),
        (STOPPED, SANDBOX, INSTEAD, "warning", f"New sessions are processes in a sandbox: {WHY}; in alpha refused "
         "until the engine answers, because the project has sessions in containers",
         "service docker start   # or use --runtime process"),
        (MISSING, ASKED, NOT_ISOLATED, "warning", "New sessions are processes, not isolated from your files, and "
         f"relay asks for consent first: {WHY}; in alpha processes, not isolated from your files", "sudo sysctl -e"),
        (MUTE, SANDBOX, RuntimeChoice("docker"), "warning", f"New sessions are processes in a sandbox: {WHY}; in alpha "
         "containers, which wait for the engine", "restart it   # or use --runtime process"),
        (replace(ENGINE, local=False), CONTAINER, SANDBOX, "warning", "New sessions are containers, which fail: the "
         "engine is on another machine; in alpha processes in a sandbox", "docker context use default"),
        (ENGINE, CONTAINER, InvalidInputError("profile", "There is no profile 'x'", hint="Known: x."), "warning",
         "New sessions are containers: the engine answers; in alpha refused: There is no profile 'x'", "Known: x."),
    ],
)  # fmt: skip
def test_what_new_sessions_run_on_in_each_kind_of_project(
    facts: EngineFacts | RelayError,
    usual: RuntimeChoice,
    alpha: RuntimeChoice | RelayError,
    verdict: str,
    found: str,
    mend: str,
) -> None:
    machine = FakeMachine(facts=facts)
    engine = EngineChecks(machine, PROFILES, needed=False, patience=1)
    engine.check()

    def choose(project: str, _: Records, ask: Callable[[], object]) -> RuntimeChoice:
        with suppress(EngineUnreachableError):
            assert (ask() is None) == isinstance(facts, EngineFacts)
        choice = alpha if project else usual
        if isinstance(choice, RelayError):
            raise choice
        return choice

    records = Records(projects={"p1": Project(id="p1", name="alpha", source="x", created_at="2026-01-01T00:00:00Z")})
    answer = engine.check_runtimes(records, choose)
    assert (answer.verdict, answer.found) == (verdict, found)
    assert answer.fix.startswith(mend)


def test_an_engine_that_refuses_is_told_by_both() -> None:
    machine = FakeMachine(facts=EngineError("Cannot ping the engine", "HTTP status 403"))
    engine = EngineChecks(machine, PROFILES, needed=False, patience=1)
    with pytest.raises(EngineError):
        engine.check()
    found = engine.check_runtimes(Records(), lambda _project, _records, ask: CONTAINER if ask() is None else SANDBOX)
    assert (found.verdict, found.found) == (
        CheckStatus.WARNING,
        "New sessions are refused: Cannot ping the engine",
    )


def test_what_stands_around_the_hosts_git() -> None:
    assert system_checks.check_confinement("Landlock (version 3)").verdict is CheckStatus.OK
    assert system_checks.check_confinement("none: neither works").fix == "sudo apt-get install bubblewrap"


def test_orphans_and_what_is_left_to_do() -> None:
    stray = Step(StepKind.UNKNOWN_CONTAINER, "c1", "container c1 is not on record")
    due = Step(StepKind.BUILD, "s1", "go on making main")
    unknown = storage_checks.check_orphans(lambda: [stray, due], frozenset)
    assert (unknown.verdict, unknown.fix) == (
        CheckStatus.WARNING,
        "relay reconcile --adopt-unknown, or --trash-unknown",
    )
    assert unknown.found == "1 container without a record: container c1 is not on record"
    assert storage_checks.check_orphans(lambda: [due], frozenset).fix == "relay reconcile"
    assert storage_checks.check_orphans(list, frozenset).verdict is CheckStatus.OK
    unseen = storage_checks.check_orphans(list, lambda: {"docker"})
    assert (unseen.verdict, unseen.found) == (
        CheckStatus.UNKNOWN,
        f"Not checked: {UNREACHABLE}, and there are sessions in it",
    )


# --- the examination itself ---


def test_a_check_that_hangs_is_told_as_such_and_holds_up_nothing() -> None:
    opened = threading.Event()
    hanging = Check("stuck", lambda _: ok("stuck", str(opened.wait(60))), 0.1, "turn it off and on")
    failing = Check("odd", lambda _: ok("odd", str(1 // 0)))
    told: list[str] = []
    checks = [hanging, failing, Check("fine", lambda _: ok("fine", "yes"))]
    found = runner.run_checks(checks, lambda finding: told.append(finding.name), TaskContext())
    opened.set()
    assert [finding.name for finding in found] == ["stuck", "odd", "fine"]
    assert [finding.verdict for finding in found] == [CheckStatus.BROKEN, CheckStatus.BROKEN, CheckStatus.OK]
    assert (found[0].found, found[0].fix) == ("No answer within 0.1 s: the check hangs", "turn it off and on")
    assert told[-1] == "stuck"  # the others did not wait for it


def test_more_checks_than_run_at_once_all_come_also_past_hung_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_PARALLEL", 2)
    opened = threading.Event()
    hung = [Check(f"stuck {n}", lambda _: ok("stuck", str(opened.wait(60))), 0.05) for n in range(3)]
    fine = [Check(f"fine {n}", lambda _, n=n: ok(f"fine {n}", "")) for n in range(5)]  # type: ignore[misc]
    found = runner.run_checks([*hung, *fine], lambda _: None, TaskContext())
    opened.set()
    assert [finding.verdict for finding in found] == [CheckStatus.BROKEN] * 3 + [CheckStatus.OK] * 5


def test_one_cause_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_PARALLEL", 1)
    opened = threading.Event()
    hung = Check("disk", lambda _: ok("disk", str(opened.wait(60))), 0.05, "mount", loss="the disk is dead")
    looked: list[str] = []

    def look(name: str) -> Check:
        def run(_: TaskContext) -> CheckResult:
            looked.append(name)
            return ok(name, "")

        return Check(name, run)

    checks = [
        look("engine"),
        hung,
        replace(look("store"), leans_on=("engine", "disk")),
        replace(look("orphans"), leans_on=("store",)),  # which leans on it in its turn
        replace(look("runtimes"), after="disk"),
        replace(look("alone"), leans_on=("not here",)),
    ]
    found = runner.run_checks(checks, lambda _: None, TaskContext())
    opened.set()
    assert [finding.verdict for finding in found] == ["ok", "broken", "unknown", "unknown", "ok", "ok"]
    assert found[2].found == found[3].found == "Not checked: the disk is dead"
    assert looked == ["engine", "runtimes", "alone"]


def test_all_of_it_ends_in_time_and_says_what_there_was_no_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_PARALLEL", 2)
    opened = threading.Event()
    checks = [Check(f"stuck {n}", lambda _: ok("stuck", str(opened.wait(60))), 1.0) for n in range(40)]
    begun = time.monotonic()
    found = runner.run_checks(checks, lambda _: None, TaskContext(), 1.5)
    took = time.monotonic() - begun
    opened.set()
    assert took < 20  # 20 s it would have been
    assert [finding.verdict for finding in found] == ["broken"] * 2 + ["unknown"] * 38
    assert found[-1].found == "Not checked: the 2 s for all checks were over"


def test_cancelled_it_ends_what_runs(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = f"trap '' TERM; sleep 300 & echo $! >{mark}.part; mv {mark}.part {mark}; wait"
    check = Check("slow", lambda w: ok("slow", host_command.run_command(("sh", "-c", script), w).out), 60)
    task = TaskContext()

    def cancel() -> None:
        wait_until(mark.exists, 10)
        task.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(CancelledError):
        runner.run_checks([check], lambda _: None, task)
    wait_until(lambda: not _lives(int(mark.read_text())), 5)  # what the command began, too


def test_a_command_that_talks_without_end_is_cut() -> None:
    said = host_command.run_command(("sh", "-c", "head -c 3000000 /dev/zero; echo end >&2; exit 3"), TaskContext())
    assert (said.code, len(said.out), said.err) == (3, 64 << 10, "end\n")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- the installed command in broken worlds ---


@pytest.fixture
def sick(tmp_path: Path) -> InstalledRelay:
    """relay over an empty data dir, with an engine that is nowhere."""
    return InstalledRelay(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock", "SSH_AUTH_SOCK": ""})


def _findings(relay: InstalledRelay, code: int) -> dict[str, tuple[str, str, str]]:
    done = relay.run("doctor", "--json", "--timeout", "2")
    assert done.code == code, (done.out, done.err)
    rows = done.document["findings"]
    assert isinstance(rows, list)
    return {row["name"]: (row["verdict"], row["found"], row["mend"]) for row in rows}


def _add_project(relay: InstalledRelay, name: str, source: str) -> None:
    """Put a project on record whose source is only asked by the doctor."""
    from relay_tui.adapters.store import TinyDBStore

    relay.data.mkdir(mode=0o700, exist_ok=True)
    with TinyDBStore(DataDir(relay.data).store).transaction() as change:
        change.put(Project(id=f"p-{name}", name=name, source=source, created_at="2026-01-01T00:00:00Z"))


@contextmanager
def _silent_server(path: Path | None = None) -> Iterator[int]:
    """A server that accepts and never answers, on a socket or a port."""
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as server:
        server.bind(str(path) if path else ("127.0.0.1", 0))
        server.listen(8)
        yield 0 if path else server.getsockname()[1]


def test_a_dead_engine_a_wrong_key_and_an_open_data_dir(sick: InstalledRelay) -> None:
    sick.data.mkdir()
    sick.data.chmod(0o755)
    sick.config.write_text("colour = 'red'\n")
    found = _findings(sick, 1)
    assert found["engine"][0] == "broken"
    assert "no.sock" in found["engine"][1]
    assert found["data dir"] == ("broken", f"{sick.data} is open to other users (mode 0755)", f"chmod 700 {sick.data}")
    assert found["config"][0] == "broken"
    assert "colour is not a known key" in found["config"][1]
    assert found["git"][0] == "ok"
    assert found["store"][0] == "ok"
    assert sick.data.stat().st_mode & 0o777 == 0o755  # it looks and does not touch
    assert not list(sick.data.iterdir())


def test_in_words_each_result_on_its_line_and_what_mends_it_below(sick: InstalledRelay) -> None:
    done = sick.run("doctor")
    lines = done.out.splitlines()
    assert done.code == 1, done.err
    (engine,) = (at for at, line in enumerate(lines) if line.startswith("broken    engine"))
    assert lines[engine + 1].strip().startswith("→ ")
    assert lines[-1].startswith("1 broken")


def test_the_findings_come_in_one_order_however_long_each_takes(sick: InstalledRelay, tmp_path: Path) -> None:
    _add_project(sick, "alpha", str(make_repository(tmp_path / "alpha")))
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin/tmux"
    slow.write_text("#!/bin/sh\nexec sleep 1\n")
    slow.chmod(0o755)
    more = {**sick.more, "PATH": f"{slow.parent}:{os.environ['PATH']}"}
    lines = replace(sick, more=more).run("doctor").out.splitlines()
    names = [line[10:24].strip() for line in lines[:-2] if line[:1].isalpha()]
    assert names == [
        *("engine", "bubblewrap", "confinement", "runtimes", "terminal", "locale"),
        *("git", "git identity", "git-lfs", "tmux", "ssh agent"),
        *("data dir", "disk", "config", "store", "locks", "orphans", "remote alpha"),
    ]


def test_every_remote_is_asked_and_a_silent_one_is_given_up(sick: InstalledRelay, tmp_path: Path) -> None:
    good = make_repository(tmp_path / "good")
    _add_project(sick, "good", str(good))
    _add_project(sick, "gone", str(make_repository(tmp_path / "gone")))
    shutil.rmtree(tmp_path / "gone")
    with _silent_server() as port:
        _add_project(sick, "silent", f"git://127.0.0.1:{port}/x")
        found = _findings(sick, 1)
    assert found["remote good"] == ("ok", f"{good} answers", "")
    assert found["remote gone"][0] == "broken"
    assert found["remote silent"][:2] == ("broken", "No answer within 2 s: the check hangs")
    left = subprocess.run(("pgrep", "-f", f"ls-remote -- git://127.0.0.1:{port}"), capture_output=True, check=False)
    assert left.stdout == b""


def test_an_engine_that_accepts_and_never_answers_is_one_cause(sick: InstalledRelay, tmp_path: Path) -> None:
    _add_project(sick, "alpha", str(make_repository(tmp_path / "alpha")))
    with _silent_server(tmp_path / "mute.sock"):
        mute = replace(sick, more={"DOCKER_HOST": f"unix://{tmp_path}/mute.sock"})
        found = _findings(mute, 1)
    why = "A program listens at this address but does not answer"
    assert found["engine"][:2] == ("broken", f"{why} (unix://{tmp_path}/mute.sock: no answer in time)")
    assert found["engine"][2].startswith("unset DOCKER_HOST")
    assert found["orphans"][:2] == ("unknown", "Not checked: the engine does not answer")
    assert found["runtimes"][0] != "broken"
    assert "processes" in found["runtimes"][1]
    assert [name for name, (verdict, *_) in found.items() if verdict == "broken"] == ["engine"]


def test_programs_that_are_old_mute_or_missing(sick: InstalledRelay, tmp_path: Path) -> None:
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name, script in {"git": "echo git version 2.17.1", "tmux": "sleep 300", "git-lfs": "exit 9"}.items():
        (bin_dir / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_dir / name).chmod(0o755)
    found = _findings(replace(sick, more={**sick.more, "PATH": f"{bin_dir}:/usr/bin:/bin"}), 1)
    assert found["git"][1] == "git 2.17.1 is too old: relay needs 2.32 or newer"
    assert found["tmux"][:2] == ("broken", "No answer within 2 s: the check hangs")
    assert found["git-lfs"][:2] == ("broken", "git-lfs does not run: exit code 9")


def test_a_lock_whose_holder_is_stopped_and_a_store_that_is_damaged(sick: InstalledRelay, tmp_path: Path) -> None:
    _add_project(sick, "alpha", str(make_repository(tmp_path / "alpha")))
    DataDir(sick.data).store.write_text("{")
    holder = subprocess.Popen(
        ("python3", "-c", _HOLD, str(DataDir(sick.data).locks)), env=_importing(), stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        found = _findings(sick, 1)
    finally:
        holder.kill()
        holder.wait()
    assert found["locks"][0] == "broken"
    assert f"pid {holder.pid}" in found["locks"][1]
    assert found["locks"][2] == f"kill -CONT {holder.pid}"
    assert found["store"][0] == "warning"
    assert "was damaged" in found["store"][1]


_HOLD = """
import sys, time
from pathlib import Path
from relay_tui.adapters.filesystem.file_locks import FileLocks

with FileLocks(Path(sys.argv[1])).hold("p-alpha", "relay: Cloning alpha"):
    print("held", flush=True)
    time.sleep(300)
"""


def _importing() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def test_a_full_disk(sick: InstalledRelay) -> None:
    with small_disk(sick.data, "1m") as disk:
        disk.fill()
        found = _findings(sick, 1)
    assert found["data dir"][0] == "broken"
    assert "The disk is full" in found["data dir"][1]
    assert found["disk"][0] == "broken"
    assert found["disk"][1].endswith("too little for a clone")


# --- the screen ---


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A relay over an empty data dir, whose path is the same everywhere."""
    monkeypatch.chdir(tmp_path)
    return build(Path("data"))


@pytest.mark.parametrize("size", [(160, 45), (80, 24), (40, 12)])
async def test_the_screen_tells_each_finding_and_what_mends_it(rig: Rig, size: tuple[int, int]) -> None:
    machine = rig.machine
    machine.facts = REFUSED
    machine.programs.discard("tmux")
    a_project(rig, "alpha")
    async with shown(rig, size) as screen:
        await screen.press("H")
        await screen.sees("✗ broken")  # there is a session that lives in it
        await screen.sees("→ usermod -aG docker")  # the first row is the engine's
        await screen.press("y")
        await screen.until(lambda: screen.app.clipboard == "usermod -aG docker")
        await screen.press("G")
        await screen.sees("remote alpha")
        await screen.press("escape")
        assert screen.app.screen is screen.main


async def test_a_check_that_is_looked_at_is_on_its_row_and_closing_ends_it(rig: Rig) -> None:
    gate, ended = threading.Event(), threading.Event()
    machine = rig.machine

    def wait(url: str, task: TaskContext) -> None:
        del url
        with task.on_cancel(gate.set):
            assert gate.wait(10)
        ended.set()
        task.raise_if_cancelled()

    machine.remote = wait  # type: ignore[method-assign]
    a_project(rig, "[@click=app.quit]x")
    async with shown(rig, (140, 40)) as screen:
        await screen.press("H")
        await screen.sees("1 running")
        assert "◌ checking" in screen.row("remote [@click=")
        await screen.press("q")
        await screen.until(ended.is_set)
        assert screen.app.is_running


async def test_look_again_after_mending(rig: Rig) -> None:
    rig.machine.programs.discard("git")
    async with shown(rig, (140, 40)) as screen:
        await screen.press("H")
        await screen.sees("✗ broken git")
        rig.machine.programs.add("git")
        await screen.press("r")
        await screen.sees("● ok git git 2.39.5")
