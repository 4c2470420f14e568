"""One look at one clone: what was read of its `.git`, and git at hand, for as long as the look lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from relay_tui.adapters.filesystem.atomic import from_os
from relay_tui.adapters.git.untrusted import files, gitdir, sandbox, shadow_repo
from relay_tui.adapters.git.untrusted.files import read_error
from relay_tui.adapters.git.untrusted.git_process import GitProcess, SandboxedGit
from relay_tui.adapters.git.untrusted.gitdir import GitDir, Head
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.domain.changes import DiffBase
from relay_tui.domain.errors import NotComparableError
from relay_tui.ports.inspector import SessionClone

_FROM_UPSTREAM = ("refs/heads/", "refs/tags/")
_STASH_PARENT = "^1"

_followed: LruCache[bytes, Mapping[str, str]] = LruCache(200)
"""What configurations say of branches, by all of their bytes."""


@dataclass(frozen=True, slots=True)
class UpstreamRefs:
    """The branch of the remote that the session's branch follows; `hash` is what the host last fetched of it."""

    name: str = ""
    hash: str = ""


@dataclass(frozen=True, kw_only=True)
class CloneSnapshot:
    """What one look has to go by. Raises UnknownStateError wherever something is refused."""

    clone: SessionClone
    sight: SandboxedGit
    git: GitDir
    head: Head
    tree: int
    """The open directory of the work tree."""
    notes: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        """The commit that HEAD is on, or the empty tree."""
        width = next((len(hashed) for hashed in self.fetched.values()), 40)
        return shadow_repo.empty_tree(self.head, width)

    @cached_property
    def fetched(self) -> Mapping[str, str]:
        """What the host fetched from the upstream: every head and tag of the base. The session can write none of it."""
        with gitdir.open_bare(self.clone.base) as base:
            return {name: hashed for name, hashed in base.refs.items() if name.startswith(_FROM_UPSTREAM)}

    @cached_property
    def upstream(self) -> UpstreamRefs:
        """By the session's configuration, else the branch of its own name, if the remote has one."""
        branch = self.head.branch
        if not branch:
            return UpstreamRefs()
        name = branch
        config = self.git.config()
        if b"merge" in config.lower():
            values = _followed.get(config) or _followed.put(config, self._followed(config))
            merge = values.get(f"branch.{branch}.merge", "")
            if merge.startswith("refs/heads/") and values.get(f"branch.{branch}.remote") == "origin":
                name = merge.removeprefix("refs/heads/")
        hashed = self.fetched.get(f"refs/heads/{name}", "")
        return UpstreamRefs(name, hashed) if hashed else UpstreamRefs()

    def _followed(self, config: bytes) -> Mapping[str, str]:
        """What a configuration says of branches; git reads it as a file of nobody's, and includes nothing."""
        said = self.sight.git(
            *("config", "--file", "-", "--no-includes", "-z", "--get-regexp", r"^branch\..*\.(remote|merge)$"),
            stdin=config,
            fine=(0, 1),
        )
        return dict(entry.partition("\n")[::2] for entry in said.decode(errors="replace").split("\0") if entry)

    @cached_property
    def tips(self) -> Mapping[str, str]:
        """Where work may begin that the upstream lacks: name → commit of every branch, tag and other ref of its own."""
        known = set(self.fetched.values())
        refs = {name: hashed for name, hashed in self.git.work.items() if hashed not in known}
        tags = [name for name in refs if name.startswith("refs/tags/")]
        peeled = dict(zip(tags, self._commits([f"{refs[name]}^{{}}" for name in tags]), strict=True))
        return {name: found for name, hashed in refs.items() if (found := peeled.get(name, hashed)) not in known | {""}}

    @cached_property
    def unfetched(self) -> list[str]:
        """The commits of all tips, of HEAD, and those that the stashes lie on."""
        known = set(self.fetched.values())
        stashed = self._commits([f"{hashed}{_STASH_PARENT}" for hashed in self.git.stashes()])
        return sorted({self.head.hash, *self.tips.values(), *stashed} - known - {""})

    def _commits(self, names: list[str]) -> list[str]:
        """The commits that such names stand for; '' for those that stand for none."""
        if not names:
            return []
        lines = "".join(f"{name}\n" for name in names).encode()
        told = self.sight.git("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=lines).decode().split("\n")
        return [line.removeprefix("commit ") if line.startswith("commit ") else "" for line in told[: len(names)]]

    def begin_missing(self, tips: list[str]) -> GitProcess:
        """Start what end_missing() waits for."""
        return self.sight.begin("rev-list", "--parents", "--stdin", stdin=self.without_fetched(tips))

    def end_missing(self, tips: list[str], running: GitProcess) -> set[str]:
        """The commits behind `tips` that nothing the host fetched has.

        A session can plant objects under the names of the upstream's own commits, which then seem to have its work.
        So where the walk came to its end is asked of the base alone.
        """
        lines = [line.split() for line in running.result().decode().split("\n") if line]
        missing = {words[0] for words in lines}
        ends = {word for words in lines for word in words[1:]} | set(tips)
        if ends := ends - missing:
            stdin = self.without_fetched(sorted(ends))
            if int(self.sight.git("rev-list", "--count", "--stdin", stdin=stdin, alone=True)):
                raise read_error("Its objects pretend that the upstream has what it does not have.")
        return missing

    def missing(self, tips: list[str]) -> set[str]:
        """The same at once."""
        return self.end_missing(tips, self.begin_missing(tips))

    def without_fetched(self, tips: list[str]) -> bytes:
        """Input for `--stdin`: the commits of `tips` that nothing the host fetched has."""
        excluded = sorted({f"^{hashed}" for hashed in self.fetched.values()})
        return "".join(f"{line}\n" for line in (*tips, *excluded)).encode()

    def base_of(self, against: DiffBase) -> str:
        """The commit that changes are told against. Raises NotComparableError where there is none."""
        if against is DiffBase.UPSTREAM:
            if not self.upstream.hash:
                branch = self.head.branch
                raise NotComparableError(
                    f"{branch} has no upstream yet" if branch else "A detached HEAD has no upstream",
                    "Nothing that the host has fetched is what it follows." if branch else "",
                )
            return self.upstream.hash
        if against is DiffBase.BRANCH_POINT:
            return self._branch_point()
        return self.commit

    def _branch_point(self) -> str:
        begun_at = self.fetched.get(f"refs/heads/{self.clone.base_branch}", "")
        if not begun_at:
            title = f"The upstream no longer has the branch that the session was begun at: {self.clone.base_branch}"
            raise NotComparableError(title, hint="{|--against head compares with the last commit.}")
        if not self.head.hash:
            return self.commit
        found = self.sight.git("merge-base", self.head.hash, begun_at, fine=(0, 1)).split()
        if not found:
            title = f"The session has no commit in common with {self.clone.base_branch}"
            raise NotComparableError(title, hint="{|--against head compares with the last commit.}")
        return found[0].decode()


@contextmanager
def open_snapshot(
    clone: SessionClone, patience: float, walls: sandbox.Sandbox | None = None
) -> Iterator[CloneSnapshot]:
    """Check the clone, read its `.git`, turn the eye to its commit. One look at a time for each eye.

    `walls` are the best there are, if not given.
    """
    try:
        with (
            shadow_repo.exclusive_access(clone, patience * 2),
            files.directory(clone.work_dir, shown="The clone") as tree,
            gitdir.open_clone(clone.work_dir) as git,
        ):
            git.check()
            head = git.head()
            sight = SandboxedGit(
                clone.shadow_dir, clone.work_dir, clone.base, patience, walls or sandbox.best_sandbox()
            )
            shadow_repo.checkout_state(clone, head, sight)
            yield CloneSnapshot(clone=clone, sight=sight, git=git, head=head, tree=tree)
    except OSError as error:
        raise from_os(error) from error
