"""The world that is photographed: repositories with a history, an image, profiles whose commands print believable logs.

The names are invented; what relay does with them is not: it clones these repositories and runs these containers.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import replay
from work import BEFORE

HOST = "https://git.example.org/acme/"
"""Where the repositories seem to live: git is told to look for it in a directory."""
IMAGES = ("acme/node:22", "acme/python:3.12")
MARK = "relay-pictures"
"""A label of the images made here, so that no other is ever replaced or removed."""
DAY = 86_400

_HOOK = """#!{python}
import subprocess, sys, time
with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE) as git:
    while block := git.stdout.read({rate} // 20):
        sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        time.sleep(0.05)
sys.exit(git.returncode)
"""
"""What sends a pack to a cloning git, no faster than a poor line would."""

CONFIG = """
image = "acme/python:3.12"
profile = "python"

[profiles.python]
command = ["pytest", "--watch", "tests"]
memory = "2g"
cpus = 2

[profiles.agent]
image = "acme/python:3.12"
command = ["agent", "run", "TASK.md"]
env = { CI = "1" }
memory = "4g"
cpus = 2

[profiles.node]
image = "acme/node:22"
command = ["npm", "run", "dev"]
memory = "2g"

[profiles.browser]
image = "acme/node:22"
command = ["npm", "run", "e2e"]
capabilities = ["SYS_ADMIN"]

[profiles.migrate]
image = "acme/python:3.12"
command = ["python", "-m", "ledger.migrate", "--to", "head"]
"""
CONFIG += replay.PROFILE

_COLOURS = {"r": 31, "g": 32, "y": 33, "b": 34, "m": 35, "c": 36, "d": 2, "w": 1}


def _ink(text: str) -> str:
    """`<g>` and its like become colours, `<>` ends them."""
    for letter, code in _COLOURS.items():
        text = text.replace(f"<{letter}>", f"\x1b[{code}m")
    return text.replace("<>", "\x1b[0m").strip("\n") + "\n"


_AGENT = """
<w>agent<> <d>task from TASK.md on feature/refunds<>
<d>────────────────────────────────────────────────────────────────────────<>
<m>●<> <w>Plan<>
    1. let a refund name the lines and the amount it is about
    2. refuse what is more than was paid
    3. tests for both, then the changelog
<c>●<> <w>Read<>   src/shop/refunds.py <d>(148 lines)<>
<c>●<> <w>Read<>   tests/test_refunds.py <d>(92 lines)<>
<c>●<> <w>Search<> <d>"def refund"<>  4 matches in 3 files
<y>●<> <w>Edit<>   src/shop/refunds.py  <g>+31<> <r>-8<>
    <d> 41<>   <r>-    def refund(self, order: Order) -> Refund:<>
    <d> 41<>   <g>+    def refund(self, order: Order, lines: Sequence[Line] = ()) -> Refund:<>
    <d> 42<>   <g>+        amount = sum(line.paid for line in lines or order.lines)<>
    <d> 43<>   <g>+        if amount > order.paid - order.refunded:<>
    <d> 44<>   <g>+            raise RefundTooLarge(order.id, amount)<>
<y>●<> <w>Edit<>   tests/test_refunds.py  <g>+46<>
<b>●<> <w>Run<>    pytest -q tests/test_refunds.py
    <r>F<><g>..........<>                                                     <d>[100%]<>
    <r>FAILED<> tests/test_refunds.py::test_rounds_half_up - Decimal('9.99') != Decimal('10.00')
<m>●<> The amount is rounded per line; it has to be rounded once, at the end.
<y>●<> <w>Edit<>   src/shop/refunds.py  <g>+3<> <r>-2<>
<b>●<> <w>Run<>    pytest -q tests/test_refunds.py
    <g>...........<>                                                     <d>[100%]<>
    <g>11 passed<> in 0.48s
<b>●<> <w>Run<>    ruff check src tests
    <g>All checks passed<>
<b>●<> <w>Run<>    pytest -q <d>the whole suite<>
"""

_PYTEST = """
<w>tests/test_cart.py<> <g>..............<>                              <d>[ 21%]<>
<w>tests/test_checkout.py<> <g>.................<>                       <d>[ 47%]<>
<w>tests/test_orders.py<> <g>........................<>                  <d>[ 83%]<>
<w>tests/test_refunds.py<> <g>...........<>                              <d>[100%]<>
<g>66 passed<> in 2.31s
<d>watching tests and src: a change runs them again<>
"""

_NPM = """
<d>>< web-frontend@3.8.0 dev
>< vite --host<>

  <g><w>VITE<> <g>v6.0.3<>  <d>ready in<> <w>412 ms<>

  <g>➜<>  <w>Local<>:   <c>http://localhost:5173/<>
  <g>➜<>  <w>Network<>: <c>http://172.17.0.4:5173/<>

<d>10:42:07<> <c>[vite]<> <g>hmr update<> <d>/src/pages/Checkout.vue<>
<d>10:42:31<> <c>[vite]<> <g>hmr update<> <d>/src/pages/Checkout.vue, /src/styles/forms.css<>
<d>10:43:02<> <c>[vite]<> <y>warning<> src/api/client.ts: unused import "retry"
<d>10:43:15<> <c>[vite]<> <g>page reload<> <d>src/router.ts<>
"""

_PYTHON = """
<d>10:41:55<> ledger.migrate  from <w>0041_accounts<> to <w>0043_postings<>
<d>10:41:55<> ledger.migrate  0042_currency ... <g>done<>
<d>10:41:56<> ledger.migrate  0043_postings ... <r>failed<>
<r>ledger.errors.MigrationError: 0043_postings: 12 postings do not balance<>
  first: posting 88214, debit 120.00, credit 119.99
Mend them with: python -m ledger.mend --unbalanced
"""

PROGRAMS: Mapping[str, tuple[str, str]] = {
    "agent": (_AGENT, "exec sleep 1000000"),
    "pytest": (_PYTEST, "exec sleep 1000000"),
    "npm": (_NPM, "exec sleep 1000000"),
    "python": (_PYTHON, "sleep 0.1; exit 3"),
}
"""What each program of the image prints, and what it does then."""


@dataclass(frozen=True)
class Repository:
    """A repository to be made: its name, its branches with the days since and the subject of their last commit."""

    name: str
    branches: Sequence[tuple[str, float, str]]


REPOSITORIES = (
    Repository(
        "shop-api",
        (
            ("main", 0.8, "Cart: keep the coupon when the currency changes"),
            ("feature/refunds", 0.1, "Refunds: model and migration"),
            ("feature/gift-cards", 2, "Gift cards: balance endpoint"),
            ("feature/search-facets", 5, "Facets for brand and size"),
            ("fix/double-charge", 0.4, "Checkout: one idempotency key per attempt"),
            ("fix/timezone-reports", 9, "Reports: days begin in the shop's own zone"),
            ("release/2026.11", 3, "Release 2026.11"),
            ("dependabot/pip/sqlalchemy-2.0.44", 1, "Bump sqlalchemy from 2.0.41 to 2.0.44"),
            ("dependabot/pip/uvicorn-0.38.0", 1.2, "Bump uvicorn from 0.35.0 to 0.38.0"),
        ),
    ),
    Repository(
        "web-frontend",
        (
            ("main", 0.3, "Checkout: say which field is wrong"),
            ("feature/checkout-v2", 0.2, "Checkout in one page"),
            ("fix/safari-date-input", 4, "Date input falls back to text in Safari"),
            ("dependabot/npm_and_yarn/vite-6.0.3", 1, "Bump vite from 5.4.11 to 6.0.3"),
        ),
    ),
    Repository(
        "ledger",
        (
            ("main", 6, "Postings are immutable"),
            ("fix/rounding", 1, "Round half even, as the bank does"),
            ("feature/multi-currency", 0.6, "Accounts know their currency"),
        ),
    ),
    Repository(replay.PROJECT, replay.BRANCHES),
)
LARGE = "data-platform"
"""The repository that takes a while to clone."""


def make_repositories(root: Path) -> None:
    """Make them all, bare, below `root`."""
    for repository in REPOSITORIES:
        text = f"# {repository.name}\n"
        files = {"README.md": text.encode()}
        if repository.name == "shop-api":
            files |= {name: text.encode() for name, text in BEFORE.items()}
        _import(root / repository.name, b"".join(_commits(repository.branches, files)))
    noise = {f"fixtures/part-{n:04}.bin": os.urandom(6000) for n in range(2500)}
    _import(root / LARGE, b"".join(_commits((("main", 1, "Fixtures"),), noise)))


def _commits(branches: Sequence[tuple[str, float, str]], files: Mapping[str, bytes]) -> list[bytes]:
    now = int(time.time())
    stream = []
    default = branches[0][0]
    for branch, days, subject in branches:
        when = now - int(days * DAY)
        stream.append(f"commit refs/heads/{branch}\ncommitter Ada Byron <ada@example.org> {when} +0000\n".encode())
        stream.append(b"data %d\n%b\n" % (len(subject), subject.encode()))
        if branch != default:
            stream.append(f"from refs/heads/{default}\n".encode())
        for name, data in (files if branch == default else {"TASK.md": subject.encode()}).items():
            stream.append(f"M 644 inline {name}\n".encode() + b"data %d\n%b\n" % (len(data), data))
    return stream


def _import(path: Path, stream: bytes) -> None:
    subprocess.run(("git", "init", "--quiet", "--bare", "--initial-branch=main", path), check=True)
    subprocess.run(("git", f"--git-dir={path}", "fast-import", "--quiet"), input=stream, check=True)


def write_git_config(path: Path, repositories: Path, python: str, rate: int) -> None:
    """A git configuration that finds `HOST` in `repositories`, and sends `rate` bytes a second."""
    hook = path.with_name("send-slowly")
    hook.write_text(_HOOK.format(python=python, rate=rate))
    hook.chmod(0o755)
    path.write_text(
        f'[user]\n\tname = Ada Byron\n\temail = ada@example.org\n[url "file://{repositories}/"]\n\tinsteadOf = {HOST}\n'
        f"[uploadpack]\n\tpackObjectsHook = {hook}\n[safe]\n\tdirectory = *\n"
    )


def make_images(client: docker.DockerClient) -> None:
    """Make the images out of this machine's busybox; raises SystemExit where others bear their names."""
    archive = _archive()
    for name in IMAGES:
        try:
            if MARK not in client.images.get(name).labels:
                raise SystemExit(f"There is an image {name} already, which was not made here.")
        except docker.errors.ImageNotFound:
            pass
        repository, _, tag = name.partition(":")
        changes = ["ENV PATH=/usr/local/bin:/usr/bin:/bin", 'CMD ["sh"]', f"LABEL {MARK}=1"]
        client.api.import_image_from_data(archive, repository=repository, tag=tag, changes=changes)


def remove_images(client: docker.DockerClient) -> None:
    """Remove what make_images made."""
    for name in IMAGES:
        try:
            if MARK in client.images.get(name).labels:
                client.images.remove(name)
        except docker.errors.ImageNotFound:
            pass


def _archive() -> bytes:
    found = shutil.which("busybox")
    if found is None:
        raise SystemExit("busybox is needed for the image (apt install busybox-static).")
    busybox = Path(found)
    applets = subprocess.run((busybox, "--list"), capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, data: bytes, mode: int = 0o755) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        add("bin/busybox", busybox.read_bytes())
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
                tar.addfile(link)
        add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        add("usr/local/bin/serve", replay.PROGRAM.encode())
        for name, log in replay.LOGS.items():
            add(f"usr/local/share/serve-{name}.log", replay.lines(name, _ink(log)).encode(), 0o644)
        add("etc/group", b"root:x:0:\n", 0o644)
        for name, (log, then) in PROGRAMS.items():
            add(f"usr/local/share/{name}.log", _ink(log).encode(), 0o644)
            add(f"usr/local/bin/{name}", f"#!/bin/sh\ncat /usr/local/share/{name}.log\n{then}\n".encode())
    return buffer.getvalue()
