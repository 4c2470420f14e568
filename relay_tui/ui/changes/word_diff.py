"""Word diff: pairs of deleted and added lines, compared word by word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

Span = tuple[int, int]
"""From, to (exclusive), in characters."""

LONGEST = 600
"""Longer lines are not compared."""
LARGEST = 60
"""In a larger block lines stand for each other only if there are as many of one as of the other."""
ALIKE = 0.45
"""How much of two lines has to be the same for the rest to be worth marking."""

_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)


def pair_lines(deleted: Sequence[str], added: Sequence[str]) -> Mapping[int, int]:
    """Return pairs of deleted and added lines by index, both in ascending order."""
    if len(deleted) == len(added):
        return {at: at for at in range(len(deleted))}
    if len(deleted) > LARGEST or len(added) > LARGEST:
        return {}
    found: dict[int, int] = {}
    after = 0
    for at, old in enumerate(deleted):
        rest = len(deleted) - at - 1
        candidates = range(after, max(after + 1, len(added) - rest) if rest < len(added) else after + 1)
        best, score = -1, ALIKE
        for there in candidates:
            if there < len(added) and (alike := _alike(old, added[there])) > score:
                best, score = there, alike
        if best >= 0:
            found[at] = best
            after = best + 1
    return found


def changed_spans(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the deleted spans of `old` and the added spans of `new`; none if the lines differ too much."""
    if max(len(old), len(new)) > LONGEST:
        return (), ()
    olds, news = _WORD.findall(old), _WORD.findall(new)
    matcher = SequenceMatcher(None, olds, news, autojunk=False)
    gone: list[Span] = []
    came: list[Span] = []
    same = 0
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            same += sum(len(word) for word in olds[i:j] if not word.isspace())
            continue
        gone += _span(olds, i, j)
        came += _span(news, k, m)
    letters = max(len("".join(old.split())), len("".join(new.split())))
    if not letters or same < letters * ALIKE:
        return (), ()
    return _joined(gone, old), _joined(came, new)


def _alike(old: str, new: str) -> float:
    if max(len(old), len(new)) > LONGEST:
        return 0.0
    matcher = SequenceMatcher(None, _WORD.findall(old.strip()), _WORD.findall(new.strip()), autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() > ALIKE and matcher.quick_ratio() > ALIKE else 0.0


def _span(words: Sequence[str], start: int, end: int) -> list[Span]:
    if start == end:
        return []
    first = sum(map(len, words[:start]))
    return [(first, first + sum(map(len, words[start:end])))]


def _joined(spans: Sequence[Span], text: str) -> tuple[Span, ...]:
    """Spans with nothing but one space between them are one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and not text[joined[-1][1] : start].strip() and start - joined[-1][1] <= 1:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
