"""A session's work on the main screen: facts on its row, the Changes tab, the guard, pushing, fetching, catching up."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import textual_screen
from fakes import Rig, build
from fakes_work import COMMIT, some_facts
from on_screen import Shown, a_project, a_session, shown
from rich.cells import cell_len

from relay_tui.domain.changes import ChangeKind, ContentKind, FileChange
from relay_tui.domain.errors import Fault, GitError
from relay_tui.domain.transfers import PushResult
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind
from relay_tui.services import clone_status as facts_service
from relay_tui.ui.dialogs.push import PushDialog, format_push_plan, format_push_result
from relay_tui.ui.dialogs.remove_session import RemoveSessionDialog, format_unsaved_work
from relay_tui.ui.presentation import formatting
from relay_tui.ui.presentation.clone_status import branch_cell, changes_cell, status_fields

HOSTILE = "[ERROR] [/x] [@click=app.quit]y \x1b[2J\x1b]52;c;aGk=\x07 \u202e\u200b日本語 \x9b31m\r\n\ttail"
PATCH = b"""diff --git a/app.py b/app.py
--- a/app.py
+++ b/app.py
@@ -1,2 +1,2 @@ def total(items):
-    rate = 0.2
+    rate = 0.25
     return rate
"""
RISKS = RemovalCheck(
    risks=(
        Risk(hazard=RiskKind.DIRTY, count=6, examples=("app.py", "b.py", "c.py", "d.py", "e.py")),
        Risk(hazard=RiskKind.IGNORED, count=1, size=3 << 20, examples=("cache.db",)),
        Risk(hazard=RiskKind.STASHED, count=1, examples=("c0ffee12 WIP",)),
        Risk(hazard=RiskKind.UNPUSHED, count=2, branch="topic", examples=("c0ffee12 Round half to even",)),
    ),
    safe=("2 commits on old: the upstream has the same changes in 1234567",),
)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """One project with two sessions; `topic` has work in it; on a fixed day. Facts are looked for when asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(facts_service, "REST", 3600.0)
    monkeypatch.setattr(formatting, "now", lambda: datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
    made = build(Path("data"))
    alpha = a_project(made, "alpha")
    a_session(made, alpha, "main")
    a_session(made, alpha, "topic")
    work = made.look.of("s.alpha.topic")
    work.facts = some_facts("topic", changed=2, added=3, untracked=1, conflicted=1, stashes=1, ahead=2, unpushed=5)
    work.files = (
        FileChange(path="app.py", change=ChangeKind.MODIFIED, added=1, deleted=1),
        FileChange(path="logo.png", change=ChangeKind.ADDED, content=ContentKind.BINARY, size=2048),
    )
    work.patches = {"app.py": PATCH}
    return made


async def on_topic(screen: Shown) -> None:
    """Choose the session `topic`, and wait until its facts are known."""
    screen.main.select("s.alpha.topic")
    await screen.until(lambda: "~2" in screen.row("topic"), "the facts of topic")


# --- facts ---


async def test_facts_are_on_the_row_and_in_info(rig: Rig) -> None:
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        assert "✖1 ~2 +3 ?1 ≡1 ↑2 ⇡5" in screen.row("topic")
        await screen.until(lambda: "clean" in screen.row("main "))
        await screen.press("]")
        for words in (
            "on branch topic",
            "files 1 in conflict, 2 changed, 3 added, 1 untracked",
            "upstream topic: 2 ahead",
            "not pushed 5 commits are nowhere but here",
            "last commit c0ffee12 Round half to even",
        ):
            await screen.sees(words)
        rig.look.of("s.alpha.topic").facts = some_facts(
            "elsewhere", deleted=1, notes=("2 submodules are not looked at",)
        )
        await screen.press("ctrl+r")
        await screen.until(lambda: "elsewhere" in screen.row("-1"))
        await screen.sees("on branch elsewhere (it began on topic)")
        await screen.sees("note 2 submodules")


async def test_unknown_is_a_mark_on_the_row_and_its_reason_in_info(rig: Rig) -> None:
    rig.look.failures["facts"] = GitError("Nobody can say", "objects is a symlink", "")
    async with shown(rig, (160, 45)) as screen:
        await screen.until(lambda: "? unknown" in screen.row("topic"))
        await screen.press("]")
        await screen.sees("git unknown: Nobody can say objects is a symlink It counts as unsaved work.")


def test_facts_in_a_few_cells() -> None:
    session_facts = some_facts("main", ahead=None, behind=None, unpushed=None)
    assert changes_cell(None, plain=False).plain == ""
    assert changes_cell(some_facts(), plain=False).plain == "clean"
    assert changes_cell(session_facts, plain=False).plain == "⇡?"
    everything = some_facts(changed=1, deleted=2, conflicted=3, stashes=4, ahead=5, behind=6, unpushed=7)
    assert changes_cell(everything, plain=True).plain == "!3 ~1 -2 =4 >5 <6 ^7"
    assert changes_cell(Fault("git", HOSTILE), plain=True).plain == "? unknown"


def test_a_branch_that_was_switched_to_is_told(rig: Rig) -> None:
    session = rig.session("s.alpha.topic")
    assert branch_cell(session, None).plain == "topic"
    assert branch_cell(session, some_facts("main")).plain == "main"
    assert branch_cell(session, some_facts("")).plain == "detached c0ffee12"
    told = {label: value for label, value, _ in status_fields(session, some_facts(""), formatting.now())}
    assert told["on branch"] == "none: detached at c0ffee123456"
    unborn = replace(some_facts("new", upstream="", unpushed=None), head="", last=None)
    told = {label: value for label, value, _ in status_fields(session, unborn, formatting.now())}
    assert told["on branch"] == "new, which has no commit yet (it began on topic)"
    assert (told["upstream"], told["not pushed"]) == ("the branch follows none", "unknown")


# --- the Changes tab ---


@pytest.mark.parametrize(("name", "size"), [("changes", (120, 36)), ("changes-small", (80, 24))])
async def test_the_changes_tab(rig: Rig, name: str, size: tuple[int, int]) -> None:
    async with shown(rig, size) as screen:
        await on_topic(screen)
        await screen.press("[")
        await screen.sees("against the last commit")
        await screen.press("l", "j")
        await screen.until(lambda: screen.main.detail.changes.files.cursor_key == "app.py")
        await screen.press("enter")
        await screen.sees("rate = 0.25")
        await screen.same_as(name)
        await screen.press("escape")
        assert screen.main.focused is screen.main.detail.changes.files
        await screen.press("j")
        await screen.until(lambda: screen.main.detail.changes.files.cursor_key == "logo.png")
        await screen.press("escape")
        assert screen.focused == "sessions"


async def test_the_tabs_keys_are_offered_only_in_it(rig: Rig) -> None:
    async with shown(rig, (200, 36)) as screen:
        await on_topic(screen)
        own = (" compare ", " copy hunk ", " hunk ", " file ")
        assert not any(word in screen.keys for word in own)
        await screen.press("b", "y", "l", "]")
        assert rig.look.calls.count("changes") == 0
        await screen.press("]")
        await screen.sees("against the last commit")
        await screen.until(lambda: all(word in screen.keys for word in own))
        await screen.press("b")
        await screen.sees("against where it left topic")
        await screen.press("j", "Y")
        assert screen.app.clipboard == "app.py"
        await screen.sees("rate = 0.25")
        await screen.press("y")
        assert screen.app.clipboard.endswith("+    rate = 0.25\n     return rate\n")


async def test_a_file_that_leads_out_of_the_clone_is_not_opened(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "true")
    clone = Path(rig.session("s.alpha.topic").work_dir)
    (clone / "app.py").symlink_to("/etc/hostname")
    async with shown(rig) as screen:
        await on_topic(screen)
        await screen.press("[", "l")
        await screen.sees("against the last commit")
        await screen.press("j", "o")
        await screen.sees("It leads out of the clone")


# --- the guard ---


@pytest.mark.parametrize(("name", "size"), [("guard", (120, 36)), ("guard-small", (80, 24))])
async def test_the_guard_says_what_would_be_lost(rig: Rig, name: str, size: tuple[int, int]) -> None:
    rig.look.of("s.alpha.topic").guarded = RISKS
    gate = rig.look.gates["guard"] = threading.Event()
    async with shown(rig, size) as screen:
        await on_topic(screen)
        await screen.press("D")
        await screen.sees("Checking for unsaved work")
        await screen.press("y")  # hands that know it must not lose work
        gate.set()
        await screen.sees("6 changed files")
        await screen.until(lambda: not screen.app.flash.current)
        await screen.same_as(name)
        await screen.press("y", "enter")
        assert screen.app.screen is screen.main
        assert rig.session("s.alpha.topic").deleted_at is None


@pytest.mark.parametrize(
    ("key", "call", "words"),
    [
        ("p", "push", "Pushed topic"),
        ("k", "keep", "Kept in the base"),
        ("b", "bundle", "alpha-topic.bundle"),
        ("r", "", "Press u to"),
    ],
)
async def test_the_guard_rescues_and_removes(rig: Rig, key: str, call: str, words: str) -> None:
    (Path.home()).mkdir()
    rig.look.of("s.alpha.topic").guarded = RISKS
    rig.way_out.saves_files = True
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        await screen.press("D")
        await screen.sees("2 unpushed commits on topic")
        await screen.press(key)
        await screen.until(lambda: rig.session("s.alpha.topic").deleted_at)
        assert not call or call in rig.way_out.calls
        if key == "b":
            assert (Path.home() / "alpha-topic.bundle").is_file()
        await screen.sees(words)


async def test_unknown_counts_as_unsaved_and_can_be_kept(rig: Rig) -> None:
    rig.look.failures["guard"] = GitError("git was stopped", "it took longer than 30 s")
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        await screen.press("D")
        await screen.sees("? unknown, treated as unsaved work: git was stopped: it took longer than 30 s")
        await screen.press("y")
        await screen.sees("This session has unsaved work. Press r to remove it anyway.")
        assert isinstance(screen.app.screen, RemoveSessionDialog)
        assert "k save" in screen.text
        assert "p push" not in screen.text.partition("k save")[0][-40:]


def test_the_guard_names_by_kind_and_branch_and_says_what_is_safe() -> None:
    words = format_unsaved_work(RISKS, Path("/home/ada/alpha-topic.bundle")).plain
    for line in (
        "    6 changed files",
        "        and 2 more",
        "    1 large ignored file, 3 MiB",
        "    2 unpushed commits on topic",
        "  2 commits on old: the upstream has the same changes in 1234567",
    ):
        assert line in words.split("\n")
    assert "No unsaved work" in format_unsaved_work(RemovalCheck(), Path("b")).plain


# --- pushing, fetching, catching up ---


async def test_a_push_is_shown_before_it_goes_and_its_link_can_be_copied(rig: Rig) -> None:
    rig.way_out.gates["push"] = threading.Event()
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        await screen.press("p")
        await screen.sees("to https://host.example/team/alpha.git branch topic (new there) commits 1")
        assert isinstance(screen.app.screen, PushDialog)
        await screen.press("escape")
        assert rig.way_out.pushed == []
        await screen.until(lambda: not rig.relay.jobs.running())
        await screen.press("p")
        await screen.sees("c0ffee12 Round half to even")
        await screen.press("enter")
        await screen.until(lambda: "Writing objects  50%" in screen.row("topic"))
        rig.way_out.gates["push"].set()
        await screen.sees("Reply of the remote: Create a pull request:")
        await screen.press("y")
        assert screen.app.clipboard == "https://host.example/team/alpha/pull/new/topic"
        await screen.press("enter")
        await screen.until(lambda: screen.app.screen is screen.main)
        assert rig.way_out.pushed == [rig.way_out.plan]


@pytest.mark.parametrize("key", ["y", "enter"])
async def test_a_push_that_would_be_rejected_is_not_offered(rig: Rig, key: str) -> None:
    rig.way_out.plan = replace(rig.way_out.plan, diverged=True)
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        await screen.press("p")
        await screen.sees("The remote has commits that the session does not have")
        await screen.sees("Press M to merge or rebase them first")
        assert "y push" not in screen.text
        await screen.press(key)
        await screen.until(lambda: screen.app.screen is screen.main)
        await screen.until(lambda: not rig.relay.jobs.running())
        assert "push" not in rig.way_out.calls


async def test_a_rejected_push_says_why_and_what_to_do(rig: Rig) -> None:
    rig.way_out.failures["push"] = GitError("The remote rejected it", "! [rejected] topic (fetch first)", "M, then p.")
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        await screen.press("p")
        await screen.sees("c0ffee12 Round half to even")
        await screen.press("y")
        await screen.sees("The remote rejected it")
        await screen.sees("! [rejected] topic (fetch first)")
        await screen.sees("M, then p.")


async def test_changes_are_arranged_though_the_log_scrolled_just_then(rig: Rig) -> None:
    async with shown(rig) as screen:
        await on_topic(screen)
        screen.main.detail.turn(-1)
        compositor = textual_screen.compositor(screen.main)
        compositor.reflow_visible(screen.main, screen.main.size)  # as a scroll does it
        assert compositor.full_map  # as a query for a widget's position does
        await screen.sees("against the last commit")
        changes = screen.main.detail.changes
        await screen.until(lambda: changes.has_class("-stacked"), "the list over the diff")


async def test_fetching_shows_its_progress_on_the_projects_row(rig: Rig) -> None:
    rig.way_out.gates["fetch"] = threading.Event()
    async with shown(rig, (160, 45)) as screen:
        await screen.press("f")
        await screen.until(lambda: "alpha  receiving 50%" in screen.row("alpha  "))
        rig.way_out.gates["fetch"].set()
        await screen.sees("Fetched alpha")
        await screen.sees("main 1111111..2222222")


async def test_catching_up_asks_how(rig: Rig) -> None:
    async with shown(rig, (160, 45)) as screen:
        await on_topic(screen)
        await screen.press("M")
        await screen.sees("If there is nothing new on it, the new commits of topic are taken.")
        await screen.sees("m merge it")
        await screen.press("enter")
        assert screen.app.screen is screen.main
        assert not rig.relay.jobs.running()
        await screen.press("M", "r")
        await screen.until(lambda: any("rebase" in asked for asked in rig.engine.asked))
        await screen.sees("Updated alpha/topic with 2 commits of topic.")


# --- text that others wrote ---


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_hostile_words_reach_no_line_raw(rig: Rig, size: tuple[int, int]) -> None:
    bad = replace(COMMIT, subject=HOSTILE, author=HOSTILE, hash=HOSTILE)
    work = rig.look.of("s.alpha.topic")
    work.facts = some_facts(HOSTILE, changed=2, upstream=HOSTILE, last=bad, notes=(HOSTILE,))
    risks = tuple(Risk(hazard=h, count=9, branch=HOSTILE, examples=(HOSTILE,) * 5, reason=HOSTILE) for h in RiskKind)
    work.guarded = RemovalCheck(risks=risks, safe=(HOSTILE,))
    rig.way_out.plan = replace(rig.way_out.plan, remote=HOSTILE, branch=HOSTILE, commits=(bad,))
    rig.way_out.said = (HOSTILE, f"https://host.example/{HOSTILE}")
    rig.way_out.fetched = (HOSTILE,)
    async with shown(rig, size) as screen:
        await on_topic(screen)
        for keys, words in (
            (["]"], "on branch"),
            (["D"], "changed files"),
            (["escape", "p"], "(new there)"),
            (["y"], "Reply of the remote"),
            (["y"], "Copied"),
            (["escape", "f"], "Fetched "),
        ):
            await screen.press(*keys)
            await screen.sees(words)
            for line in screen.lines:
                assert not [c for c in line if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u200b"], keys
                assert cell_len(line) <= size[0]
        assert "\x1b" not in screen.app.clipboard
        assert screen.app.return_code is None


def test_dialogs_words_are_cleaned() -> None:
    said = format_push_result(PushResult(branch=HOSTILE, commit=HOSTILE, said=(HOSTILE,), links=(HOSTILE,)), 0).plain
    assert "\x1b" not in said
    assert said.count("\n") == 6


def test_a_plan_with_nothing_to_send_says_so(rig: Rig) -> None:
    words = format_push_plan(replace(rig.way_out.plan, count=0, commits=(), new_branch=False)).plain
    assert "none: the remote has all of them" in words
