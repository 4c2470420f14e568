"""Tell the escape key from sequences that begin with the same character: arrows, function keys, terminal replies."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterator

ESCAPE = "\x1b"
_KEY = re.compile(r"\x1b(?=([^\[OP\]_\\\x7f\b]))")  # an escape that neither begins a sequence nor ends one
_PASTE_START, _PASTE_END = "\x1b[200~", "\x1b[201~"


class EscapeParser:
    """Splits input, packet by packet, into escape keys and the rest.

    Textual takes an escape that a key follows in one packet for that key with alt, because many terminals send alt this
    way. It takes most sequences of several escapes for something else. This parser reads alt only for the keys `alt`.
    """

    def __init__(self, alt: Collection[str] = ()) -> None:
        self._alt = {*alt}
        self._held = ""
        self._tail = ""
        self._pasting = False

    def give_up(self) -> str:
        """Return and forget what was held back, because nothing followed it."""
        held, self._held = self._held, ""
        return held

    def parts(self, typed: str) -> Iterator[str | None]:
        """Yield None for each escape key, and the text between them, in their order."""
        text = self.give_up() + typed
        while text:
            if self._pasting:
                text = yield from self._paste(text)
                continue
            before, paste, text = text.partition(_PASTE_START)
            known = len(before) - (0 if paste else _partial_mark(before))
            yield from self._keys(before, known)
            self._held = before[known:]
            if paste:
                self._pasting = True
                yield paste

    def _keys(self, text: str, known: int) -> Iterator[str | None]:
        """Yield the parts of the first `known` characters. The next one decides about an escape at their end."""
        at = 0
        for found in _KEY.finditer(text):
            if found.start() < known and found[1] not in self._alt:
                if found.start() > at:
                    yield text[at : found.start()]
                yield None
                at = found.end()
        if known > at:
            yield text[at:known]

    def _paste(self, text: str) -> Generator[str, None, str]:
        """Yield pasted text verbatim, up to its end. Return the text after it."""
        known = self._tail + text
        end = known.find(_PASTE_END)
        pasted = text if end < 0 else text[: end + len(_PASTE_END) - len(self._tail)]
        self._tail = known[1 - len(_PASTE_END) :] if end < 0 else ""
        self._pasting = end < 0
        yield pasted
        return text[len(pasted) :]


def _partial_mark(text: str) -> int:
    """Count the characters at the end of `text` that may begin the mark of a paste."""
    return next(
        (n for n in range(min(len(_PASTE_START) - 1, len(text)), 0, -1) if _PASTE_START.startswith(text[-n:])), 0
    )
