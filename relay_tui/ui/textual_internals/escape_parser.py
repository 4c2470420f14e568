"""The key escape, told from what begins with the same character: arrows, function keys, answers of the terminal."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterator

ESCAPE = "\x1b"
_ALONE = re.compile(r"\x1b(?=([^\[OP\]_\\\x7f\b]))")  # one that neither begins a sequence nor ends one
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"


class EscapeParser:
    """Parts what is typed into escapes and the rest, as it comes.

    Textual takes an escape and the key at its heels for that key with alt, and most of several for something else, for
    many terminals send the same for alt. Here that is so only for keys that somebody has bound.
    """

    def __init__(self, alt: Collection[str] = ()) -> None:
        self._alt = {*alt}
        self._held = ""
        self._tail = ""
        self._pasting = False

    def give_up(self) -> str:
        """Nothing more came: what was held is all there is of it."""
        held, self._held = self._held, ""
        return held

    def parts(self, typed: str) -> Iterator[str | None]:
        """None for each key escape, and what is between them, in its order."""
        text = self.give_up() + typed
        while text:
            if self._pasting:
                text = yield from self._paste(text)
                continue
            before, paste, text = text.partition(_PASTE)
            known = len(before) - (0 if paste else _begun(before))
            yield from self._keys(before, known)
            self._held = before[known:]
            if paste:
                self._pasting = True
                yield paste

    def _keys(self, text: str, known: int) -> Iterator[str | None]:
        """The parts of so much of the text; what follows tells of an escape at its end."""
        at = 0
        for found in _ALONE.finditer(text):
            if found.start() < known and found[1] not in self._alt:
                if found.start() > at:
                    yield text[at : found.start()]
                yield None
                at = found.end()
        if known > at:
            yield text[at:known]

    def _paste(self, text: str) -> Generator[str, None, str]:
        """Hand on what is pasted as it is, up to its end; the rest is returned."""
        known = self._tail + text
        end = known.find(_PASTED)
        pasted = text if end < 0 else text[: end + len(_PASTED) - len(self._tail)]
        self._tail = known[1 - len(_PASTED) :] if end < 0 else ""
        self._pasting = end < 0
        yield pasted
        return text[len(pasted) :]


def _begun(text: str) -> int:
    """How many characters at its end may be the beginning of a paste's mark."""
    return next((n for n in range(min(len(_PASTE) - 1, len(text)), 0, -1) if _PASTE.startswith(text[-n:])), 0)
