"""Snapshot of one session's clone: the content of its `.git` and a sandboxed git, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.git.untrusted import files, gitdir, shadow_repo
from relay_tui.adapters.git.untrusted.files import read_error
from relay_tui.adapters.git.untrusted.git_process import GitProcess, SandboxedGit
from relay_tui.adapters.git.untrusted.gitdir import GitDir, Head
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.adapters.git.untrusted.sandbox import Sandbox, best_sandbox
from relay_tui.domain.changes import DiffBase
from relay_tui.domain.errors import NotComparableError
from relay_tui.ports.inspector import SessionClone

_FROM_UPSTREAM = ("refs/heads/", "refs/tags/")
_STASH_PARENT = "^1"

_branch_settings: LruCache[bytes, Mapping[str, str]] = LruCache(200)
"""Branch settings (name → value) of a configuration, by the whole content of the configuration."""


@dataclass(frozen=True, slots=True)
class UpstreamRefs:
    """Upstream branch that the session's branch follows. `hash` is its commit when the host last fetched."""

    name: str = ""
    hash: str = ""


@dataclass(frozen=True, kw_only=True)
class CloneSnapshot:
    """State of one clone. Each member raises UnknownStateError if the clone has content that relay refuses to read."""

    clone: SessionClone
    git: SandboxedGit
    git_dir: GitDir
    head: Head
    tree: int
    """Descriptor of the work tree."""
    notes: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        """The commit of HEAD, or the empty tree."""
        width = next((len(hashed) for hashed in self.fetched.values()), 40)
        return shadow_repo.empty_tree(self.head, width)

    @cached_property
    def fetched(self) -> Mapping[str, str]:
        """Refs that the host fetched: every head and tag of the base clone. The session can write none of them."""
        with gitdir.open_bare(self.clone.base) as base:
            return {name: hashed for name, hashed in base.refs.items() if name.startswith(_FROM_UPSTREAM)}

    @cached_property
    def upstream(self) -> UpstreamRefs:
        """Upstream by the session's configuration, else the upstream's branch of the same name."""
        branch = self.head.branch
        if not branch:
            return UpstreamRefs()
        name = branch
        config = self.git_dir.config()
        if b"merge" in config.lower():
            values = _branch_settings.get(config) or _branch_settings.put(config, self._read_branch_settings(config))
            merge = values.get(f"branch.{branch}.merge", "")
            if merge.startswith("refs/heads/") and values.get(f"branch.{branch}.remote") == "origin":
                name = merge.removeprefix("refs/heads/")
        hashed = self.fetched.get(f"refs/heads/{name}", "")
        return UpstreamRefs(name, hashed) if hashed else UpstreamRefs()

    def _read_branch_settings(self, config: bytes) -> Mapping[str, str]:
        """Parse the branch settings with git. The configuration is only data on stdin: git obeys none of it."""
        output = self.git.run(
            *("config", "--file", "-", "--no-includes", "-z", "--get-regexp", r"^branch\..*\.(remote|merge)$"),
            stdin=config,
            success=(0, 1),
        )
        return dict(entry.partition("\n")[::2] for entry in output.decode(errors="replace").split("\0") if entry)

    @cached_property
    def tips(self) -> Mapping[str, str]:
        """Name → commit of each ref of the session that may have commits which the upstream lacks."""
        known = set(self.fetched.values())
        refs = {name: hashed for name, hashed in self.git_dir.work.items() if hashed not in known}
        tags = [name for name in refs if name.startswith("refs/tags/")]
        peeled = dict(zip(tags, self._commits([f"{refs[name]}^{{}}" for name in tags]), strict=True))
        return {name: found for name, hashed in refs.items() if (found := peeled.get(name, hashed)) not in known | {""}}

    @cached_property
    def unfetched(self) -> list[str]:
        """Commits of all tips, of HEAD, and the commits that the stashes are based on."""
        known = set(self.fetched.values())
        stashed = self._commits([f"{hashed}{_STASH_PARENT}" for hashed in self.git_dir.stashes()])
        return sorted({self.head.hash, *self.tips.values(), *stashed} - known - {""})

    def _commits(self, names: list[str]) -> list[str]:
        """Resolve names to commits; '' for a name that is not a commit."""
        if not names:
            return []
        lines = "".join(f"{name}\n" for name in names).encode()
        output = self.git.run("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=lines)
        resolved = output.decode().split("\n")[: len(names)]
        return [line.removeprefix("commit ") if line.startswith("commit ") else "" for line in resolved]

    def start_missing_commits(self, tips: list[str]) -> GitProcess:
        """Start git for read_missing_commits(), so that other commands can run meanwhile."""
        return self.git.start("rev-list", "--parents", "--stdin", stdin=self.exclude_fetched(tips))

    def read_missing_commits(self, tips: list[str], running: GitProcess) -> set[str]:
        """Return the commits reachable from `tips` and from no ref that the host fetched.

        A session can plant objects under the names of the upstream's commits, so that these seem to contain its work.
        Therefore the end points of the walk are checked against the base clone alone.
        """
        lines = [line.split() for line in running.result().decode().split("\n") if line]
        missing = {hashes[0] for hashes in lines}
        ends = {parent for hashes in lines for parent in hashes[1:]} | set(tips)
        if ends := ends - missing:
            stdin = self.exclude_fetched(sorted(ends))
            if int(self.git.run("rev-list", "--count", "--stdin", stdin=stdin, base_only=True)):
                raise read_error("The clone's object store claims upstream objects that the upstream does not have.")
        return missing

    def missing_commits(self, tips: list[str]) -> set[str]:
        """Return the commits reachable from `tips` and from no ref that the host fetched."""
        return self.read_missing_commits(tips, self.start_missing_commits(tips))

    def exclude_fetched(self, tips: list[str]) -> bytes:
        """Return input for `--stdin`: the commits reachable from `tips` and from no ref that the host fetched."""
        excluded = sorted({f"^{hashed}" for hashed in self.fetched.values()})
        return "".join(f"{line}\n" for line in (*tips, *excluded)).encode()

    def base_of(self, against: DiffBase) -> str:
        """Return the commit to compare with. Raises NotComparableError if there is none."""
        if against is DiffBase.UPSTREAM:
            if not self.upstream.hash:
                branch = self.head.branch
                raise NotComparableError(
                    f"{branch} has no upstream yet" if branch else "A detached HEAD has no upstream",
                    "The host has not fetched a branch that it follows." if branch else "",
                )
            return self.upstream.hash
        if against is DiffBase.BRANCH_POINT:
            return self._branch_point()
        return self.commit

    def _branch_point(self) -> str:
        base_tip = self.fetched.get(f"refs/heads/{self.clone.base_branch}", "")
        if not base_tip:
            title = f"The upstream no longer has the session's base branch: {self.clone.base_branch}"
            raise NotComparableError(title, hint="{|--against head compares with the last commit.}")
        if not self.head.hash:
            return self.commit
        found = self.git.run("merge-base", self.head.hash, base_tip, success=(0, 1)).split()
        if not found:
            title = f"The session has no commit in common with {self.clone.base_branch}"
            raise NotComparableError(title, hint="{|--against head compares with the last commit.}")
        return found[0].decode()


@contextmanager
def open_snapshot(clone: SessionClone, timeout: float, sandbox: Sandbox | None = None) -> Iterator[CloneSnapshot]:
    """Check the clone, read its `.git`, and set the shadow repository to its commit.

    The shadow repository is locked within the block. `timeout` is the seconds that one git command may take. Without
    a `sandbox` the best one of this machine is used. Raises UnknownStateError and FileSystemError.
    """
    try:
        with (
            shadow_repo.exclusive_access(clone, timeout * 2),
            files.directory(clone.work_dir, shown="The clone") as tree,
            gitdir.open_clone(clone.work_dir) as git_dir,
        ):
            git_dir.check()
            head = git_dir.head()
            git = SandboxedGit(clone.shadow_dir, clone.work_dir, clone.base, timeout, sandbox or best_sandbox())
            shadow_repo.checkout_state(clone, head, git)
            yield CloneSnapshot(clone=clone, git=git, git_dir=git_dir, head=head, tree=tree)
    except OSError as error:
        raise filesystem_error(error, "Cannot read the session's clone", clone.work_dir) from error
