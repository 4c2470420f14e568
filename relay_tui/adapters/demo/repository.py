"""Makes the sample repository: real commits, as git's fast-import takes them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from relay_tui.adapters.demo.sample import HISTORY, Change
from relay_tui.adapters.git import process
from relay_tui.adapters.git.faults import translate


def make_repository(path: Path) -> str:
    """Make it at `path`, bare; answer what is in it, in words. Raises GitError."""
    made = process.ask("init", "--quiet", "--bare", "--initial-branch=main", str(path))
    if made.code:
        raise translate(made, "The sample repository cannot be made")
    done = subprocess.run(
        ("git", f"--git-dir={path}", "fast-import", "--quiet"),
        cwd="/",
        env=process.environment("file"),
        input=b"".join(_stream(HISTORY, time.time())),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        lines = tuple(done.stderr.decode(errors="replace").splitlines())
        raise translate(process.Outcome(done.returncode, b"", lines), "The sample history cannot be made")
    return f"{len(HISTORY)} commits on {len({change.branch for change in HISTORY})} branches"


def _stream(history: Sequence[Change], moment: float) -> Iterator[bytes]:
    """The history in fast-import's words."""
    for change in history:
        message = change.message.encode()
        yield f"commit refs/heads/{change.branch}\n".encode()
        yield f"committer {change.author} {int(moment - change.days_ago * 86_400)} +0000\n".encode()
        yield b"data %d\n%s\n" % (len(message), message)
        if change.after:
            yield f"from refs/heads/{change.after}\n".encode()
        for name, words in change.files.items():
            content = words.encode()
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
