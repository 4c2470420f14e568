"""Time of reads and writes of the store against the raw work in the same run, and the memory of the store.

Run `python tests/bench/store.py`, with --quick for a short run. It needs neither git nor an engine. The raw work is
a write without kept rows: json.dumps of the whole file, write, fsync, rename, fsync of the directory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from measure import Place, Row, place, print_table, quick_wanted, rounds
from reconcile import fill

from relay_tui.adapters.durable import replace as replace_file
from relay_tui.adapters.store import TinyStore
from relay_tui.model import new_id, now

SIZES = (1_000, 2_000, 10_000)
AIMS = {1_000: 1.0, 2_000: 1.0, 10_000: 0.5}
"""Time of one write as a ratio to the raw work, by number of sessions."""

MEMORY = """
import ctypes, gc, sys
from dataclasses import replace
from pathlib import Path
from relay_tui import memory
memory.share_one_arena()
from relay_tui.adapters.store import TinyStore

def resident():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

def write(store):
    session = next(iter(store.read().sessions.values()))
    with store.transaction() as change:
        change.put(replace(session, exit_code=(session.exit_code or 0) + 1))

small, large = map(TinyStore, map(Path, sys.argv[1:]))
write(small)
before = resident()
large.read()
read = resident()
for _ in range(5):
    write(large)
print(read - before, resident() - before)
"""


def writing(here: Place, count: int, turns: int) -> None:
    """Measure writes and reads of a store of `count` sessions, and print the table."""
    store = fill(here.root / f"store-{count}", count, clones=False)
    path = here.root / f"store-{count}/store.json"
    raw = "json.dumps of the whole, write, fsync"
    other = TinyStore(path)
    contestants = {
        raw: _raw(path, here.root / f"raw-{count}.json"),
        "write and fsync alone": _disk(path, here.root / f"raw-{count}.json"),
        "json.loads of the whole": lambda _: json.loads(path.read_bytes()),
        "one session changed": _change(store),
        "one session added": _add(store),
        "one session changed, by two relays in turn": _in_turn(store, other),
        "another relay's change read": _reread(store, other),
        "all sessions read": lambda _: TinyStore(path).read(),
    }
    taken = rounds(contestants, turns)
    against = {name: raw for name in contestants if name.startswith("one session")}
    against |= dict.fromkeys(("another relay's change read", "all sessions read"), "json.loads of the whole")
    rows = [
        Row(name, seconds, against.get(name, ""), AIMS[count] if against.get(name) == raw else None)
        for name, seconds in taken.items()
    ]
    print_table(f"{count:,} sessions, {path.stat().st_size / 1e6:.1f} MB, {turns} rounds", rows)


def _raw(source: Path, path: Path) -> Callable[[str], object]:
    tables = json.loads(source.read_bytes())
    keep = path.with_suffix(".bak")
    return lambda _: replace_file(path, [json.dumps(tables, separators=(",", ":")).encode()], keep=keep, after=0)


def _disk(source: Path, path: Path) -> Callable[[str], object]:
    data, keep = [source.read_bytes()], path.with_suffix(".bak")
    return lambda _: replace_file(path, data, keep=keep, after=0)


def _change(store: TinyStore) -> Callable[[str], float]:
    def change(_: str) -> float:
        session = next(iter(store.read().sessions.values()))
        began = perf_counter()
        with store.transaction() as transaction:
            transaction.put(replace(session, updated_at=f"{now()}{began}"))
        return perf_counter() - began

    return change


def _add(store: TinyStore) -> Callable[[str], float]:
    def add(_: str) -> float:
        session = next(iter(store.read().sessions.values()))
        began = perf_counter()
        with store.transaction() as transaction:
            transaction.put(replace(session, id=new_id(), created_at=now()))
        return perf_counter() - began

    return add


def _in_turn(store: TinyStore, other: TinyStore) -> Callable[[str], float]:
    mine, theirs = _change(store), _change(other)

    def change(name: str) -> float:
        theirs(name)
        return mine(name)

    return change


def _reread(store: TinyStore, other: TinyStore) -> Callable[[str], float]:
    change = _change(other)

    def reread(name: str) -> float:
        store.read()
        change(name)
        began = perf_counter()
        store.read()
        return perf_counter() - began

    return reread


def memory(here: Place, count: int) -> None:
    """Print the memory that a process needs for a store of `count` sessions, free memory returned to the system."""
    fill(here.root / "small", 50, clones=False)
    paths = [str(here.root / f"{name}/store.json") for name in ("small", f"store-{count}")]
    command = [sys.executable, "-c", MEMORY, *paths]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    read, written = map(float, ran.stdout.split())
    size = Path(paths[1]).stat().st_size / (1 << 20)
    print(f"  {count:>6,} sessions, file {size:4.1f} MB: {read:5.1f} MB once read, {written:5.1f} MB after five writes")


def main() -> None:
    """Measure all, print the tables."""
    quick = quick_wanted("The store file.")
    with place() as here:
        for count in SIZES:
            writing(here, count, 7 if quick else 31)
        print("\nMemory for the store")
        for count in SIZES:
            memory(here, count)


if __name__ == "__main__":
    main()
