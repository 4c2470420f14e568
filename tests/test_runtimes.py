"""Choice of a session's runtime, the consent needed first, and the sessions of other runtimes when one is absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeRuntime, Rig, build
from on_screen import shown
from test_forms import mistakes
from test_plan import DISK, PROJECT, SESSION, records
from textual.widgets import Input

from relay_tui.bootstrap import container
from relay_tui.config import Config
from relay_tui.domain.errors import NeedsConsentError, NoImageError
from relay_tui.domain.hints import render_for_cli
from relay_tui.ports import ContainerSpec, ContainerState, Isolation
from relay_tui.ports.task import TaskContext
from relay_tui.services.reconcile.planner import StepKind, plan
from relay_tui.services.runtime_router import AUTO, DOCKER, INSTEAD, NOT_ISOLATED, PROCESS, RuntimeRouter, survey
from relay_tui.services.sessions.drafts import NewSession


class FakeProcesses(FakeRuntime):
    """Processes in memory, on a machine that may have a sandbox."""

    def __init__(self, *, works: bool) -> None:
        super().__init__()
        self.works = works
        self.agreed = False

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """With an id like those of processes."""
        made = self.containers.pop(super().create(spec, task))
        made.id = f"process-{spec.labels['relay.session']}"
        self.containers[made.id] = made
        return made.id

    def isolation(self) -> Isolation:
        """As the machine has it."""
        return Isolation(self.works, "bubblewrap is not installed", "Install it.", self.agreed)

    def agree(self) -> None:
        """Remember it."""
        self.agreed = True


@pytest.mark.parametrize(
    ("wanted", "engine", "sandbox", "others", "agreed", "runtime", "isolated", "asks"),
    [
        (AUTO, True, True, "", "", DOCKER, True, ""),
        (AUTO, True, False, PROCESS, "", DOCKER, True, ""),
        (AUTO, False, True, "", "", PROCESS, True, ""),
        (AUTO, False, True, PROCESS, "", PROCESS, True, ""),
        (AUTO, False, True, DOCKER, "", PROCESS, True, INSTEAD),
        (AUTO, False, True, DOCKER, INSTEAD, PROCESS, True, ""),
        (AUTO, False, False, "", "", PROCESS, False, NOT_ISOLATED),
        (AUTO, False, False, DOCKER, INSTEAD, PROCESS, False, NOT_ISOLATED),
        (AUTO, False, False, "", NOT_ISOLATED, PROCESS, False, ""),
        (DOCKER, False, True, "", "", DOCKER, True, ""),
        (PROCESS, True, True, DOCKER, "", PROCESS, True, ""),
        (PROCESS, True, False, "", "", PROCESS, False, NOT_ISOLATED),
    ],
)
def test_the_choice(
    wanted: str, engine: bool, sandbox: bool, others: str, agreed: str, runtime: str, isolated: bool, asks: str
) -> None:
    docker = FakeRuntime()
    if not engine:
        docker.go_down()
    choice = RuntimeRouter(docker=docker, process=FakeProcesses(works=sandbox)).choose(wanted, [others], agreed.split())
    assert (choice.runtime, choice.isolated) == (runtime, isolated)
    assert (choice.asks.consent if choice.asks else "") == asks
    assert bool(choice.why) is (wanted == AUTO)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([DOCKER], "the project's other session is a container"),
        ([DOCKER] * 3, "the project's other sessions are containers"),
        ([PROCESS] * 13 + [DOCKER], "1 of the project's 14 other sessions is a container"),
        ([PROCESS, DOCKER, DOCKER], "2 of the project's 3 other sessions are containers"),
    ],
)
def test_refused_it_says_how_many_are_containers(others: list[str], words: str) -> None:
    docker = FakeRuntime()
    docker.go_down()
    asks = RuntimeRouter(docker=docker, process=FakeProcesses(works=True)).choose(AUTO, others, ()).asks
    assert asks is not None
    assert asks.title == f"No engine answers, and {words}"


def test_relay_as_it_is_wired_has_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    relay = container.build_demo_relay(tmp_path / "data", Config(path=tmp_path / "config.toml"))
    choice = relay.drafts.choose_runtime(NewSession(project="none"))
    assert (choice.runtime, "no engine answers" in choice.why) == (PROCESS, True)
    assert survey(relay.runtime).unreachable == {DOCKER}


def test_an_engine_that_is_away_hides_no_process() -> None:
    docker, processes = FakeRuntime(), FakeProcesses(works=True)
    docker.go_down()
    assert RuntimeRouter(docker=docker, process=processes).survey().unreachable == {DOCKER}
    other = replace(SESSION, id="t", name="elk", runtime=PROCESS, container_id="process-t")
    disk = replace(DISK, clones={"s": "p", "t": "p"})
    ended = ContainerState("process-t", "t", "p", "exited", 3)
    steps = plan(records(PROJECT, SESSION, other), disk, [ended], frozenset(), {DOCKER})
    assert [(step.act, step.subject) for step in steps] == [(StepKind.NOTE, "t")]
    steps = plan(
        records(PROJECT, SESSION, other), disk, [ContainerState("c", "s", "p", "running")], frozenset(), {PROCESS}
    )
    assert steps == []


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay whose engine is away, on a machine without a sandbox."""
    rig = build(tmp_path / "data", processes=FakeProcesses(works=False))
    rig.ready()
    return rig


async def test_the_form_asks_once_before_it_makes_one_without_a_sandbox(rig: Rig) -> None:
    async with shown(rig) as screen:
        await screen.press("n")
        await screen.sees("fix/login")
        rig.engine.go_down()
        await screen.press("ctrl+s")
        await screen.sees("No engine answers, and the project's other session is a container")
        await screen.press("n")
        await screen.sees("Preview")
        assert len(rig.live()) == 1
        await screen.press("ctrl+s")
        await screen.sees("No engine answers")
        await screen.press("y")
        await screen.sees("The session would not be isolated")
        await screen.press("y")
        await screen.sees("not isolated  ")
    (made,) = [session for session in rig.live() if session.runtime == PROCESS]
    assert not made.isolated
    assert any("not isolated" in note for note in made.notes)
    again = NewSession(project=made.project_id, branch="dev", runtime=PROCESS)
    assert rig.relay.drafts.choose_runtime(again).asks is None  # it is remembered
    with pytest.raises(NeedsConsentError):
        rig.relay.sessions.register(replace(again, runtime=AUTO))


async def test_a_low_form_says_beside_the_runtime_that_a_process_is_not_isolated(rig: Rig) -> None:
    rig.engine.go_down()
    async with shown(rig, (80, 24)) as screen:
        await screen.press("n")
        await screen.sees("a process, not isolated from your files")
        assert "Preview" not in screen.words  # one would have to scroll to it


def test_an_image_that_was_asked_for_is_not_left_out_unasked(tmp_path: Path) -> None:
    docker = FakeRuntime()
    rig = build(tmp_path / "data", engine=docker, processes=FakeProcesses(works=True))
    project = rig.ready()
    wanted = NewSession(project=project.id, branch="dev", image="node:22", runtime=AUTO, agreed=INSTEAD)
    assert rig.relay.drafts.choose_runtime(wanted).runtime == DOCKER
    docker.go_down()
    for refused in (rig.relay.drafts.choose_runtime, rig.relay.sessions.register, rig.relay.drafts.preview):
        with pytest.raises(NoImageError) as caught:
            refused(wanted)
        assert (caught.value.field, caught.value.exit_code) == ("image", 4)
        assert "--runtime process" in render_for_cli(caught.value.hint)
    as_process = rig.relay.sessions.register(replace(wanted, runtime=PROCESS))
    assert (as_process.image, as_process.notes[-1]) == ("", "A process has no image: node:22 is not used.")
    with pytest.raises(NoImageError):
        rig.relay.sessions.retry(as_process.id, TaskContext(), image="node:22")
    rig.put(replace(project, default_image="node:20"))
    by_default = rig.relay.sessions.register(replace(wanted, image=""))
    assert by_default.notes[-1] == "A process has no image: node:20 is not used."


async def test_the_form_says_beside_the_image_that_it_needs_an_engine(rig: Rig) -> None:
    async with shown(rig) as screen:
        await screen.press("n")
        await screen.sees("fix/login")
        rig.engine.go_down()
        screen.app.screen.query_one("#image", Input).value = "node:22"
        await screen.sees("Image node:22 needs an engine")
        await screen.press("ctrl+s")
        await screen.sees("Image node:22 needs an engine")
        assert "Take it out, or start the engine." in mistakes(screen)["image"]
    assert len(rig.live()) == 1


def test_among_processes_one_that_never_got_its_container_is_none(tmp_path: Path) -> None:
    docker = FakeRuntime()
    rig = build(tmp_path / "data", engine=docker, processes=FakeProcesses(works=True))
    project = rig.ready()
    (first,) = rig.live(project)
    docker.go_down()
    wanted = NewSession(project=project.id, runtime=AUTO)
    assert rig.relay.drafts.choose_runtime(wanted).asks is not None  # its session is a container
    rig.put(replace(first, container_id=""))
    assert rig.relay.drafts.choose_runtime(wanted).asks is not None  # it is to be one
    rig.put(replace(first, id="other", name="other", runtime=PROCESS, container_id="process-other"))
    assert rig.relay.drafts.choose_runtime(wanted).asks is None
    rig.put(first)
    assert rig.relay.drafts.choose_runtime(wanted).asks is not None
