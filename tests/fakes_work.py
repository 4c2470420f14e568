"""Look and Exit as tests want them: what a session's clone holds is what a test put there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripted import Scripted

from relay_tui.domain.changes import ChangeSet, CloneStatus, Commit, DiffBase, FileChange, Patch
from relay_tui.domain.transfers import ExportResult, PushPlan, PushResult, SavedRef
from relay_tui.domain.unsaved_work import RemovalCheck
from relay_tui.ports import CloneSource, UpdatePack
from relay_tui.ports.inspector import SessionClone
from relay_tui.ports.task import TaskContext

COMMIT = Commit(
    hash="c0ffee1234567890c0ffee1234567890c0ffee12",
    subject="Round half to even",
    author="Ada",
    authored_at="2026-11-22T09:00:00Z",
)


def some_facts(branch: str = "main", **others: object) -> CloneStatus:
    """Facts about a clean clone, but for what is given."""
    clean = CloneStatus(
        branch=branch, head=COMMIT.hash, changed=0, added=0, deleted=0, untracked=0, conflicted=0, stashes=0
    )
    known = replace(clean, upstream=branch, ahead=0, behind=0, unpushed=0, last=COMMIT)
    return replace(known, **others)  # type: ignore[arg-type]


@dataclass
class Work:
    """Content of one session's clone. Patches are keyed by path, '' for all files together."""

    facts: CloneStatus | None = None
    files: tuple[FileChange, ...] = ()
    patches: dict[str, bytes] = field(default_factory=dict)
    guarded: RemovalCheck = field(default_factory=RemovalCheck)
    notes: tuple[str, ...] = ()


class FakeLook(Scripted):
    """The Look port over `work`, by session id. A session that is not in it has a clean clone."""

    def __init__(self) -> None:
        super().__init__()
        self.work: dict[str, Work] = {}
        self.prepared: list[str] = []

    def of(self, session_id: str) -> Work:
        """Return the content of a session's clone, which a test may change."""
        return self.work.setdefault(session_id, Work())

    def confinement(self) -> str:
        """Nothing."""
        return "none"

    def forget(self, clone: SessionClone) -> None:
        """Forget what a test put there."""
        self.begin("forget")
        self.work.pop(clone.session_id, None)

    def prepare(self, clone: SessionClone) -> None:
        """Note it."""
        self.begin("prepare")
        self.prepared.append(clone.session_id)

    def facts(self, clone: SessionClone) -> CloneStatus:
        """As a test put them."""
        self.begin("facts")
        return self.of(clone.session_id).facts or some_facts(clone.branch)

    def changes(self, clone: SessionClone, against: DiffBase) -> ChangeSet:
        """Return the changes set by a test, for any `against`."""
        self.begin("changes")
        work = self.of(clone.session_id)
        return ChangeSet(against=against, base=COMMIT.hash, files=work.files, notes=work.notes)

    def patch(self, clone: SessionClone, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """Return the patch of one file, or of all files in sequence, cut at `limit`."""
        self.begin("patch")
        del against
        patches = self.of(clone.session_id).patches
        text = patches[path] if path in patches else b"".join(patches.values()) if not path else b""
        return Patch(path=path, text=text[:limit], cut=len(text) > limit)

    def guard(self, clone: SessionClone) -> RemovalCheck:
        """As a test put it."""
        self.begin("guard")
        return self.of(clone.session_id).guarded


class FakeExit(Scripted):
    """Fake of the Exit port: every call returns the result or raises the error set by a test."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = PushPlan(
            remote="https://host.example/team/alpha.git",
            branch="topic",
            commit=COMMIT.hash,
            commits=(COMMIT,),
            count=1,
            new_branch=True,
            diverged=False,
        )
        self.said: tuple[str, ...] = ("Create a pull request:", "https://host.example/team/alpha/pull/new/topic")
        self.fetched: Sequence[str] = ("main 1111111..2222222",)
        self.kept_before: Sequence[SavedRef] = ()
        self.news = 2
        self.pushed: list[PushPlan] = []
        self.saves_files = False
        self.sources: list[CloneSource] = []

    def keep(self, clone: SessionClone, task: TaskContext) -> dict[str, str]:
        """One head, and the files that no commit has if `saves_files`."""
        task.report("Copying objects")
        self.begin("keep", task)
        refs = [f"heads/{clone.branch}", *(["uncommitted"] if self.saves_files else [])]
        return {f"refs/relay/{clone.session_id}/{ref}": COMMIT.hash for ref in refs}

    def saved_refs(self, base: Path) -> list[SavedRef]:
        """Return the refs set by a test."""
        del base
        self.begin("kept")
        return list(self.kept_before)

    def bundle(self, clone: SessionClone, target: Path, task: TaskContext) -> int:
        """Write a bundle file that contains the session id."""
        task.report("Writing the bundle")
        self.begin("bundle", task)
        return target.write_text(clone.session_id)

    def fetch(self, base: Path, source: CloneSource, task: TaskContext) -> Sequence[str]:
        """Return the new refs set by a test."""
        del base
        task.report("Receiving objects", 0.5, "1.0 MiB at 2.0 MiB/s")
        self.begin("fetch", task)
        self.sources.append(source)
        return self.fetched

    def plan_push(self, clone: SessionClone, source: CloneSource, task: TaskContext, *, branch: str = "") -> PushPlan:
        """The plan a test put here."""
        del clone, branch
        task.report("Asking the remote")
        self.begin("plan_push", task)
        self.sources.append(source)
        return self.plan

    def push(self, clone: SessionClone, source: CloneSource, plan: PushPlan, task: TaskContext) -> PushResult:
        """Return the answer of the remote set by a test."""
        del clone, source
        task.report("Writing objects", 0.5)
        self.begin("push", task)
        self.pushed.append(plan)
        links = tuple(line for line in self.said if line.startswith("https://"))
        return PushResult(branch=plan.branch, commit=plan.commit, said=self.said, links=links)

    def export(
        self, clone: SessionClone, source: str, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """Create a directory with a file that contains the session id."""
        del source
        self.begin("export", task)
        target.mkdir()
        (target / "session").write_text(clone.session_id)
        return ExportResult(branch=name or clone.branch, brought=(clone.branch,))

    @contextmanager
    def parcel(self, clone: SessionClone, task: TaskContext) -> Iterator[UpdatePack]:
        """As many commits as a test put here."""
        self.begin("parcel", task)
        yield UpdatePack(branch=clone.base_branch, commit=COMMIT.hash, count=self.news, pack=Path("/dev/null"))
