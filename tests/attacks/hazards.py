"""Scripts planted in a clone by a hostile session, to make the host run, show, write or wait for something.

Each is a script for `sh` in the container, in /workspace. It may call `evil NAME`, which makes a program at $E (a path of
the host) that leaves a mark when the host runs it; $W is the clone's path on the host, $SECRET a private repository of
the host, $WORD_FILE a private file, $OUTSIDE a directory that must not change. An attacker who knows all these paths
is the worst case.
"""

from __future__ import annotations

from dataclasses import dataclass

PRELUDE = """
set -e
umask 022
evil() {
  E="$W/.git/evil-$1"
  printf '#!/bin/sh\\necho run >>"%s/%s"\\nexit 0\\n' "$FIRED" "$1" >.git/evil-$1
  chmod +x .git/evil-$1
}
"""

RESET = "chmod -R u+rwX . ; find . -mindepth 1 -maxdepth 1 -exec rm -rf {} + ; cp -a /tmp/pristine/. ."


@dataclass(frozen=True)
class Hazard:
    """One thing that is planted. `control` is what a careless host would do for it to go off, by plain git."""

    script: str
    control: tuple[str, ...] = ()
    alone: bool = False
    """It makes relay refuse the clone, and would hide what else is planted in it."""
    named: str = ""
    """The branch that the guard is to name all the same."""
    slow: bool = False
    """It costs each look seconds, until a limit is reached: a few looks are enough."""


_SIGNED = """
git cat-file commit HEAD >/tmp/c
sed -n '1,/^committer/p' /tmp/c >/tmp/s
printf 'gpgsig -----BEGIN PGP SIGNATURE-----\\n \\n iQ\\n -----END PGP SIGNATURE-----\\n' >>/tmp/s
sed '1,/^committer/d' /tmp/c >>/tmp/s
git update-ref HEAD "$(git hash-object -t commit -w /tmp/s)"
"""

_HOOKS = (
    "applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg post-commit "
    "pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive post-receive post-update "
    "reference-transaction push-to-checkout pre-auto-gc post-rewrite sendemail-validate fsmonitor-watchman "
    "post-index-change"
)

RUNS: dict[str, Hazard] = {
    "fsmonitor": Hazard('evil fsmonitor; git config core.fsmonitor "$E"', ("status",)),
    "hooks": Hazard(
        f"evil hooks; mkdir -p .git/hooks; for h in {_HOOKS}; do cp .git/evil-hooks .git/hooks/$h; done",
        ("update-index", "--force-write-index"),
    ),
    "hooksPath": Hazard(
        f"evil hooksPath; mkdir .git/h; for h in {_HOOKS}; do cp .git/evil-hooksPath .git/h/$h; done; "
        'git config core.hooksPath "$W/.git/h"',
        ("update-index", "--force-write-index"),
    ),
    "filter.clean": Hazard(
        'evil filter.clean; git config filter.one.clean "$E"; echo "* filter=one" >.gitattributes; echo more >>a',
        ("diff",),
    ),
    "filter.smudge": Hazard(
        'evil filter.smudge; git config filter.one.smudge "$E"; echo "* filter=one" >.git/info/attributes',
        ("checkout", "--", "b"),
    ),
    "filter.process": Hazard(
        'evil filter.process; git config filter.two.process "$E"; git config filter.two.required true; '
        'echo "* filter=two" >.gitattributes; echo more >>a',
        ("diff",),
    ),
    "filter.lfs": Hazard(
        'evil filter.lfs; git config filter.lfs.clean "$E"; git config filter.lfs.process "$E"; '
        'echo "* filter=lfs" >.gitattributes; echo more >>b',
        ("diff",),
    ),
    "diff.external": Hazard('evil diff.external; git config diff.external "$E"; echo more >>a', ("diff",)),
    "diff driver": Hazard(
        'evil diff-driver; git config diff.one.command "$E"; echo "* diff=one" >.gitattributes; echo more >>a',
        ("diff",),
    ),
    "textconv": Hazard(
        'evil textconv; git config diff.two.textconv "$E"; echo "* diff=two" >.git/info/attributes; echo more >>a',
        ("diff",),
    ),
    "gpg.program": Hazard(
        f'evil gpg.program; git config gpg.program "$E"; git config log.showSignature true; {_SIGNED}', ("log", "-1")
    ),
    "promisor": Hazard(
        "evil promisor; git config core.repositoryFormatVersion 1; git config extensions.partialClone origin; "
        'git config remote.origin.promisor true; git config remote.origin.url "$W"; '
        'git config remote.origin.uploadpack "$E"; '
        'o=$(git rev-parse HEAD:work); rm -f ".git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)"',
        ("cat-file", "-p", "HEAD:work"),
        alone=True,
    ),
    "sshCommand": Hazard(
        'evil sshCommand; git config core.sshCommand "$E"; git config remote.origin.url ssh://nowhere/x', ("fetch",)
    ),
    "gitProxy": Hazard(
        'evil gitProxy; git config core.gitProxy "$E"; git config remote.origin.url git://nowhere/x', ("fetch",)
    ),
    "uploadpack": Hazard(
        'evil uploadpack; git config remote.origin.uploadpack "$E"; git config remote.origin.receivepack "$E"; '
        'git config remote.origin.url "$W"',
        ("fetch",),
    ),
    "ext": Hazard(
        'evil ext; git config protocol.ext.allow always; git config remote.origin.url "ext::$E"; '
        'git config url."ext::$E".insteadOf https://',
        ("fetch",),
    ),
    "credential.helper": Hazard(
        'evil credential.helper; git config credential.helper "!$E"; git config core.askPass "$E"'
    ),
    "pager and editor": Hazard(
        "evil pager; for k in core.pager pager.diff pager.status pager.log core.editor sequence.editor; "
        'do git config $k "$E"; done'
    ),
    "alias": Hazard('evil alias; for a in status diff log rev-list; do git config alias.$a "!$E"; done'),
    "include": Hazard(
        'evil include; printf "[core]\\n\\tfsmonitor = %s\\n" "$E" >.git/more; git config include.path more; '
        "git config includeIf.gitdir:/.path more",
        ("status",),
    ),
    "worktree config": Hazard(
        "evil worktree-config; git config core.repositoryFormatVersion 1; git config extensions.worktreeConfig true; "
        'printf "[core]\\n\\tfsmonitor = %s\\n" "$E" >.git/config.worktree',
        ("status",),
    ),
    "alternateRefsCommand": Hazard('evil alternateRefs; git config core.alternateRefsCommand "$E"'),
    "merge driver": Hazard(
        'evil merge-driver; git config merge.one.driver "$E"; git config merge.default one; echo "* merge=one" >.gitattributes'
    ),
    "trace": Hazard('git config trace2.eventTarget "$OUTSIDE/trace"; git config trace2.normalTarget "$OUTSIDE/trace"'),
    "submodule": Hazard(
        'evil submodule; git init -q sub; (cd sub; echo x >f; git add f; git commit -qm x; git config core.fsmonitor "$E"); '
        'printf "[submodule \\"sub\\"]\\n\\tpath = sub\\n\\turl = ./sub\\n" >.gitmodules; '
        'git config submodule.sub.update "!$E"; git config submodule.recurse true; git add sub .gitmodules; '
        "git commit -qm submodule; echo y >>sub/f",
        ("status",),
    ),
    "nested repository": Hazard(
        "evil nested; git init -q nested; (cd nested; echo x >f; git add f; git commit -qm x; "
        'git config core.fsmonitor "$E"; git config diff.external "$E"); git add nested 2>/dev/null; '
        "git commit -qm nested; echo y >>nested/f",
        ("status",),
    ),
    "bare repository inside": Hazard(
        'evil bare; mkdir bare; cd bare; git init -q --bare .; git config core.fsmonitor "$E"; git config core.bare false; '
        'git config core.worktree "$W"; cd ..'
    ),
    "environment file": Hazard('evil env; mkdir -p .config/git; git config -f .config/git/config core.fsmonitor "$E"'),
}

SHOWS: dict[str, Hazard] = {
    "alternates": Hazard(
        'echo "$SECRET/.git/objects" >.git/objects/info/alternates; echo "$SECRET_COMMIT" >.git/refs/heads/stolen; '
        'echo "$SECRET_COMMIT" >.git/HEAD',
        alone=True,
    ),
    "http-alternates": Hazard('echo "$SECRET/.git/objects" >.git/objects/info/http-alternates', alone=True),
    "commondir": Hazard('echo "$SECRET/.git" >.git/commondir; echo "$SECRET_COMMIT" >.git/HEAD', alone=True),
    "gitdir file": Hazard('rm -rf .git; echo "gitdir: $SECRET/.git" >.git', alone=True),
    "git is a link": Hazard('rm -rf .git; ln -s "$SECRET/.git" .git', alone=True),
    "objects are a link": Hazard(
        'rm -rf .git/objects; ln -s "$SECRET/.git/objects" .git/objects; echo "$SECRET_COMMIT" >.git/HEAD', alone=True
    ),
    "pack is a link": Hazard(
        'rm -rf .git/objects/pack; ln -s "$SECRET/.git/objects/pack" .git/objects/pack', alone=True
    ),
    "an object is a link": Hazard(
        "c=$SECRET_COMMIT; d=$(echo $c | cut -c1-2); f=$(echo $c | cut -c3-); mkdir -p .git/objects/$d; "
        'ln -s "$SECRET/.git/objects/$d/$f" .git/objects/$d/$f; echo $c >.git/refs/heads/stolen',
        alone=True,
    ),
    "HEAD is a link": Hazard('rm .git/HEAD; ln -s "$WORD_FILE" .git/HEAD', alone=True),
    "a ref is a link": Hazard('ln -s "$WORD_FILE" .git/refs/heads/stolen', alone=True),
    "packed-refs is a link": Hazard('rm -f .git/packed-refs; ln -s "$WORD_FILE" .git/packed-refs', alone=True),
    "config is a link": Hazard('rm .git/config; ln -s "$WORD_FILE" .git/config'),
    "index is a link": Hazard('rm .git/index; ln -s "$SECRET/.git/index" .git/index', alone=True),
    "a directory is a link": Hazard('rm -rf d; ln -s "$OUTSIDE" d'),
    "a file is a link": Hazard('rm a; ln -s "$WORD_FILE" a'),
    "an untracked link": Hazard('ln -s "$WORD_FILE" new; ln -s "$OUTSIDE" "new dir"'),
    "core.worktree": Hazard('git config core.worktree "$OUTSIDE"'),
    "attributes are a link": Hazard('ln -s "$WORD_FILE" .gitattributes; ln -s "$WORD_FILE" .gitignore'),
    "ref to a stolen commit": Hazard('echo "$SECRET_COMMIT" >.git/refs/heads/stolen', alone=True),
}

WRITES: dict[str, Hazard] = {
    "index leads out": Hazard('rm .git/index; ln -s "$OUTSIDE/word" .git/index', alone=True),
    "locks lead out": Hazard('for l in index HEAD config packed-refs; do ln -s "$OUTSIDE/$l.lock" .git/$l.lock; done'),
    "new objects lead out": Hazard(
        'for d in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do [ -e .git/objects/0$d ] || ln -s "$OUTSIDE" .git/objects/0$d; done',
        alone=True,
    ),
    "logs lead out": Hazard(
        'rm -rf .git/logs; ln -s "$OUTSIDE" .git/logs; git config core.logAllRefUpdates always', alone=True
    ),
    "heads that git writes lead out": Hazard(
        'for f in FETCH_HEAD ORIG_HEAD MERGE_HEAD; do ln -s "$OUTSIDE/word" .git/$f; done'
    ),
    "the clone's parent": Hazard('mkdir -p .git/modules; ln -s "$OUTSIDE" .git/modules/x; ln -s .. up; ln -s / root'),
}

_DEEP = "i=0; while [ $i -lt 400 ]; do mkdir d400; cd d400; i=$((i+1)); done; cd /workspace"

HANGS: dict[str, Hazard] = {
    **{
        f"{name} is a pipe": Hazard(
            f"rm -rf .git/{name}; mkdir -p .git/$(dirname {name}); mkfifo .git/{name}", alone=True
        )
        for name in (
            "HEAD",
            "config",
            "index",
            "packed-refs",
            "refs/heads/main",
            "refs/heads/new",
            "refs/stash",
            "logs/refs/stash",
        )
    },
    "an object is a pipe": Hazard(
        "o=$(git rev-parse HEAD); f=.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); rm -f $f; mkfifo $f",
        alone=True,
    ),
    "a tracked file is a pipe": Hazard("rm a; mkfifo a"),
    "an untracked pipe": Hazard("mkfifo pipe; mkdir p; mkfifo p/pipe"),
    ".gitignore is a pipe": Hazard("rm -f .gitignore; mkfifo .gitignore", alone=True),
    ".gitattributes is a pipe": Hazard("rm -f .gitattributes; mkfifo d/.gitattributes; echo more >>d/c", alone=True),
    ".gitmodules is a pipe": Hazard("mkfifo .gitmodules"),
    "info is of pipes": Hazard(
        "rm -rf .git/info; mkdir .git/info; mkfifo .git/info/exclude .git/info/attributes .git/info/grafts"
    ),
    "a nested HEAD is a pipe": Hazard("git init -q nested; rm nested/.git/HEAD; mkfifo nested/.git/HEAD", alone=True),
    "packed-refs is huge": Hazard("rm -f .git/packed-refs; truncate -s 900G .git/packed-refs", alone=True),
    "index is huge": Hazard("rm -f .git/index; truncate -s 900G .git/index", alone=True),
    "config is huge": Hazard("truncate -s 900G .git/config"),
    "a file is huge": Hazard("truncate -s 900G a; truncate -s 900G new"),
    "refs lead to each other": Hazard(
        "echo 'ref: refs/heads/y' >.git/refs/heads/x; echo 'ref: refs/heads/x' >.git/refs/heads/y"
    ),
    "directories are deep": Hazard(_DEEP),
    "a bomb of trees": Hazard(
        'b=$(echo bomb | git hash-object -w --stdin); m="100644 blob $b"; n=0; while [ $n -lt 3 ]; do '
        't=$(for i in $(seq 1000); do printf "%s\\tx%s\\n" "$m" $i; done | git mktree); m="040000 tree $t"; n=$((n+1)); done; '
        "git update-ref HEAD $(git commit-tree -m bomb -p HEAD $t)",
        alone=True,
        slow=True,
    ),
}

LIES: dict[str, Hazard] = {
    "remote branches": Hazard(
        "for r in main work; do git update-ref refs/remotes/origin/$r HEAD; done; git pack-refs --all"
    ),
    "replaced commits": Hazard("git replace HEAD HEAD~1"),
    "grafts and shallow": Hazard("git rev-parse HEAD >.git/info/grafts; git rev-parse HEAD >.git/shallow"),
    "assume-unchanged": Hazard("git update-index --assume-unchanged a b; echo secretly >>b"),
    "skip-worktree": Hazard("git update-index --skip-worktree a b; echo secretly >>b"),
    "excluded": Hazard('echo "*" >.git/info/exclude; git config status.showUntrackedFiles no; echo x >new'),
    "ignored changes": Hazard(
        "git config core.ignoreStat true; git config diff.ignoreSubmodules all; git config core.fileMode false"
    ),
    "fsmonitor says nothing changed": Hazard("git config core.fsmonitor true; git config core.untrackedCache true"),
    "no index": Hazard("rm .git/index"),
    "index of another time": Hazard("git read-tree HEAD~1"),
    "a branch that looks pushed": Hazard(
        "git config branch.work.remote .; git config branch.work.merge refs/heads/work; git config push.default nothing"
    ),
    "times set back": Hazard("git add a; touch -d 2020-01-01 a .git/index"),
    "forged upstream": Hazard(
        "u=$(git rev-parse origin/main); mkdir /tmp/p$$; mv .git/objects/pack/*.pack /tmp/p$$/; rm -f .git/objects/pack/*; "
        "for p in /tmp/p$$/*; do git unpack-objects -q <$p; done; t=$(git rev-parse HEAD); "
        'git cat-file commit $u | sed "s/^author/parent $t\\nauthor/" >/tmp/forged; f=$(git hash-object -t commit -w /tmp/forged); '
        "cp -f .git/objects/$(echo $f | cut -c1-2)/$(echo $f | cut -c3-) .git/objects/$(echo $u | cut -c1-2)/$(echo $u | cut -c3-); "
        "test $(git rev-list --count $t ^$u) = 0"
    ),
    "forged tree": Hazard(
        "o=$( (git ls-tree HEAD; printf '100644 blob %s\\tlanded\\n' $(echo landed | git hash-object -w --stdin) ) | git mktree); "
        "git cat-file tree HEAD~1^{tree} >/tmp/t; rm -rf /tmp/o; mkdir /tmp/o; "
        "GIT_OBJECT_DIRECTORY=/tmp/o git hash-object -t tree -w /tmp/t; "
        "c=$(git commit-tree -p HEAD~1 -m landed $o) && echo $c >.git/refs/heads/landed; "
        "cp -f /tmp/o/*/* .git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); git diff --quiet HEAD~1 landed",
        alone=True,
        named="landed",
    ),
    "escapes in names": Hazard(
        "n=$(printf '\\033]52;c;ZXZpbA==\\007[b]'); git rev-parse HEAD >\".git/refs/heads/$n\"; printf 'ref: refs/heads/%s\\n' \"$n\" >.git/HEAD; "
        "printf 'x\\033[31m\\n' >\"$(printf 'f\\033]0;t\\007\\n')\""
    ),
    "unreadable": Hazard("mkdir shut; echo x >shut/f; chmod 000 shut"),
    "partly checked out": Hazard("git config core.sparseCheckout true; echo /b >.git/info/sparse-checkout"),
    "another encoding": Hazard("git config i18n.logOutputEncoding nonsense; git config i18n.commitEncoding latin1"),
}

FAMILIES = {"runs": RUNS, "shows": SHOWS, "writes": WRITES, "hangs": HANGS, "lies": LIES}
ALL = {f"{family}: {name}": hazard for family, hazards in FAMILIES.items() for name, hazard in hazards.items()}


def together(names: list[str]) -> str:
    """One script that plants all of these; one that another has made impossible is passed over.

    Pipes come last, those that git is needed for first: git in the container would wait for them too.
    """
    order = sorted(names, key=lambda name: (name.startswith("hangs"), "git " not in ALL[name].script))
    return "\n".join(f"(\n{ALL[name].script}\n) >/dev/null 2>&1 || true" for name in order)
