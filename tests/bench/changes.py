"""Measure the Changes tab with 2,000 changed files and a diff of 100,000 lines: `python tests/bench/changes.py`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from changes_alone import alone, until
from fakes_work import Work

from relay_tui.domain.changes import ChangeKind, FileChange
from relay_tui.ui.changes.diff_parser import parse_diff

FILES, LINES = 2000, 100_000


def a_diff() -> bytes:
    """One file, every second line replaced."""
    head = f"diff --git a/big.py b/big.py\n--- a/big.py\n+++ b/big.py\n@@ -1,{LINES // 2} +1,{LINES // 2} @@\n"
    body = (
        f"-    total = compute(item_{n}, 'net')\n+    total = compute(item_{n}, 'gross')\n" for n in range(LINES // 2)
    )
    return (head + "".join(body)).encode()


async def measure() -> dict[str, float]:
    """Seconds for each step, until it is drawn."""
    found: dict[str, float] = {}
    text = a_diff()
    began = time.perf_counter()
    parse_diff(text)
    found["parse 100,000 lines"] = time.perf_counter() - began
    paths = ["big.py", *(f"src/package_{n % 40}/module_{n}.py" for n in range(FILES - 1))]
    files = tuple(
        FileChange(path=path, change=ChangeKind.MODIFIED, added=n % 90, deleted=n % 7) for n, path in enumerate(paths)
    )
    began = time.perf_counter()
    async with alone(Work(files=files, patches={"big.py": text, "": text}), (160, 45)) as (app, pilot, _):
        await until(pilot, lambda: "2,000 files" in app.text and "item_0" in app.text)
        found["open, from nothing"] = time.perf_counter() - began
        app.tab.take_focus()
        view, keys = app.tab.view, []
        for key in ("j", "j", "G", "g"):
            began = time.perf_counter()
            await pilot.press(key)
            keys.append(time.perf_counter() - began)
        found["key in the list, longest"] = max(keys)
        app.tab.file_chosen()
        keys = []
        for _ in range(200):
            began = time.perf_counter()
            view.action_page(1.0)
            await pilot.pause()
            keys.append(time.perf_counter() - began)
        found["page of the diff, median"] = sorted(keys)[100]
        found["page of the diff, longest"] = max(keys)
    return found


if __name__ == "__main__":
    for step, seconds in asyncio.run(measure()).items():
        print(f"{step:<28}{seconds * 1000:8.1f} ms")
