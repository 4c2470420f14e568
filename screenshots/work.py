"""Work of the sessions on the pictures: files before and after. The files and the names are invented."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

BEFORE: Mapping[str, str] = {
    "src/shop/refunds.py": '''"""Refunds: money that goes back."""

from dataclasses import dataclass
from decimal import Decimal

from shop.orders import Order
from shop.payments import Gateway

RATE = Decimal("0.20")


@dataclass(frozen=True)
class Refund:
    """What is given back for an order."""

    order: str
    amount: Decimal


def total(order: Order) -> Decimal:
    """What was paid, tax included."""
    net = sum(line.price * line.count for line in order.lines)
    return round(net * (1 + RATE), 2)


def refund(order: Order, gateway: Gateway) -> Refund:
    """Give everything back."""
    amount = total(order)
    gateway.pay_back(order.payment, amount)
    return Refund(order.number, amount)
''',
    "src/shop/legacy_refunds.py": "# superseded by refunds.py\n" * 12,
    "tests/test_refunds.py": "def test_all_is_paid_back(till, order):\n    assert refund(order, till).amount == 24\n",
}

NOW: Mapping[str, str | None] = {
    "src/shop/refunds.py": BEFORE["src/shop/refunds.py"]
    .replace('RATE = Decimal("0.20")', 'RATE = Decimal("0.20")  # of the net price')
    .replace("    amount: Decimal\n", "    amount: Decimal\n    lines: tuple[str, ...] = ()\n")
    .replace("order: Order, gateway: Gateway)", "order: Order, gateway: Gateway, lines: Lines = ALL)")
    .replace('"""Give everything back."""', '"""Give back what these lines cost; never more than was paid."""')
    .replace(
        "    amount = total(order)\n",
        "    amount = min(total(order.only(lines)), order.paid)\n"
        "    if not amount:\n        raise NothingToRefund(order.number)\n",
    )
    .replace("return Refund(order.number, amount)", "return Refund(order.number, amount, lines.skus)"),
    "src/shop/legacy_refunds.py": None,
    "tests/test_refunds.py": BEFORE["tests/test_refunds.py"]
    + "\n\ndef test_only_the_lines_that_are_named(till, order):\n"
    + '    assert refund(order, till, Lines("mug")).amount == 6\n',
    "migrations/0042_refund_lines.sql": "ALTER TABLE refund ADD COLUMN lines text[] NOT NULL DEFAULT '{}';\n",
    "CHANGELOG.md": "## Next\n\n- Refunds name the lines that they are about.\n",
}


def do_work(clone: Path) -> None:
    """Make one unpushed commit, one stash and some uncommitted files."""
    note = clone / "README.md"
    (clone / "TASK.md").write_text("Refunds: model and migration\n\nNever more than was paid.\n")
    _git(clone, "commit", "--quiet", "--all", "--message=Refunds: refuse what is more than was paid")
    note.write_text(note.read_text() + "\nTry another way to round.\n")
    _git(clone, "stash", "push", "--quiet", "--message=another way to round")
    for name, text in NOW.items():
        path = clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)


def _git(clone: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada Byron", "-c", "user.email=ada@example.org")
    subprocess.run(("git", "-C", clone, *who, *arguments), check=True)
