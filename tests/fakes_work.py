"""Look and Exit as tests want them: what a session's clone holds is what a test put there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripted import Scripted

from relay_tui.services.ports import Parcel, Source
from relay_tui.services.ports.work import Clone
from relay_tui.services.watch import Watch
from relay_tui.work import Against, Changes, Commit, Exported, Facts, FileChange, Guarded, Kept, Patch, Pushed, PushPlan

COMMIT = Commit(
    hash="c0ffee1234567890c0ffee1234567890c0ffee12",
    subject="Round half to even",
    author="Ada",
    authored_at="2026-11-22T09:00:00Z",
)


def some_facts(branch: str = "main", **others: object) -> Facts:
    """Facts about a clean clone, but for what is given."""
    clean = Facts(branch=branch, head=COMMIT.hash, changed=0, added=0, deleted=0, untracked=0, conflicted=0, stashes=0)
    known = replace(clean, upstream=branch, ahead=0, behind=0, unpushed=0, last=COMMIT)
    return replace(known, **others)  # type: ignore[arg-type]


@dataclass
class Work:
    """What one session's clone holds. A patch is kept by its path, '' for all of them together."""

    facts: Facts | None = None
    files: tuple[FileChange, ...] = ()
    patches: dict[str, bytes] = field(default_factory=dict)
    guarded: Guarded = field(default_factory=Guarded)
    notes: tuple[str, ...] = ()


class FakeLook(Scripted):
    """The Look port over `work`, by session id. A session that is not in it has a clean clone."""

    def __init__(self) -> None:
        super().__init__()
        self.work: dict[str, Work] = {}
        self.prepared: list[str] = []

    def of(self, session_id: str) -> Work:
        """What a session's clone holds, to be changed by a test."""
        return self.work.setdefault(session_id, Work())

    def confinement(self) -> str:
        """Nothing."""
        return "none"

    def forget(self, clone: Clone) -> None:
        """Forget what a test put there."""
        self.begin("forget")
        self.work.pop(clone.session_id, None)

    def prepare(self, clone: Clone) -> None:
        """Note it."""
        self.begin("prepare")
        self.prepared.append(clone.session_id)

    def facts(self, clone: Clone) -> Facts:
        """As a test put them."""
        self.begin("facts")
        return self.of(clone.session_id).facts or some_facts(clone.branch)

    def changes(self, clone: Clone, against: Against) -> Changes:
        """As a test put them, whatever they are told against."""
        self.begin("changes")
        work = self.of(clone.session_id)
        return Changes(against=against, base=COMMIT.hash, files=work.files, notes=work.notes)

    def patch(self, clone: Clone, against: Against, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """One file's, or all of them one after the other, cut where `limit` says."""
        self.begin("patch")
        del against
        patches = self.of(clone.session_id).patches
        text = patches[path] if path in patches else b"".join(patches.values()) if not path else b""
        return Patch(path=path, text=text[:limit], cut=len(text) > limit)

    def guard(self, clone: Clone) -> Guarded:
        """As a test put it."""
        self.begin("guard")
        return self.of(clone.session_id).guarded


class FakeExit(Scripted):
    """The Exit port: every call succeeds with what a test put there, or fails as it is told to."""

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
        self.kept_before: Sequence[Kept] = ()
        self.news = 2
        self.pushed: list[PushPlan] = []
        self.saves_files = False
        self.sources: list[Source] = []

    def keep(self, clone: Clone, watch: Watch) -> dict[str, str]:
        """One head, and the files that no commit has if `saves_files`."""
        watch.stage("Copying objects")
        self.begin("keep", watch)
        refs = [f"heads/{clone.branch}", *(["uncommitted"] if self.saves_files else [])]
        return {f"refs/relay/{clone.session_id}/{ref}": COMMIT.hash for ref in refs}

    def kept(self, base: Path) -> list[Kept]:
        """What a test put here."""
        del base
        self.begin("kept")
        return list(self.kept_before)

    def bundle(self, clone: Clone, target: Path, watch: Watch) -> int:
        """A file that says whose it is."""
        watch.stage("Writing the bundle")
        self.begin("bundle", watch)
        return target.write_text(clone.session_id)

    def fetch(self, base: Path, source: Source, watch: Watch) -> Sequence[str]:
        """What a test said was new."""
        del base
        watch.stage("Receiving objects", 0.5, "1.0 MiB at 2.0 MiB/s")
        self.begin("fetch", watch)
        self.sources.append(source)
        return self.fetched

    def plan_push(self, clone: Clone, source: Source, watch: Watch, *, branch: str = "") -> PushPlan:
        """The plan a test put here."""
        del clone, branch
        watch.stage("Asking the remote")
        self.begin("plan_push", watch)
        self.sources.append(source)
        return self.plan

    def push(self, clone: Clone, source: Source, plan: PushPlan, watch: Watch) -> Pushed:
        """The remote says what a test had it say."""
        del clone, source
        watch.stage("Writing objects", 0.5)
        self.begin("push", watch)
        self.pushed.append(plan)
        links = tuple(line for line in self.said if line.startswith("https://"))
        return Pushed(branch=plan.branch, commit=plan.commit, said=self.said, links=links)

    def export(self, clone: Clone, source: str, target: Path, watch: Watch, *, name: str = "") -> Exported:
        """A directory that says whose it is."""
        del source
        self.begin("export", watch)
        target.mkdir()
        (target / "session").write_text(clone.session_id)
        return Exported(branch=name or clone.branch, brought=(clone.branch,))

    @contextmanager
    def parcel(self, clone: Clone, watch: Watch) -> Iterator[Parcel]:
        """As many commits as a test put here."""
        self.begin("parcel", watch)
        yield Parcel(branch=clone.base_branch, commit=COMMIT.hash, count=self.news, pack=Path("/dev/null"))
