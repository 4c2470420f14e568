"""What a session's command said last before it ended."""

from __future__ import annotations

from relay_tui.errors import RelayError
from relay_tui.services.ports import Runtime
from relay_tui.text import clean_block

_LINES = 20
_BYTES = 8192


def last_words(runtime: Runtime, container_id: str) -> str:
    """The last lines of its last run, safe to show, as they stood on a screen; '' if there are none to be had."""
    try:
        began = runtime.inspect(container_id).started_at
        stream = runtime.logs(container_id, follow=False, tail=_LINES, since=began)
        said = b"".join(chunk.data for chunk in stream)
    except RelayError:
        return ""
    if len(said) > _BYTES:  # from the first line that is whole, if any is
        said = said[-_BYTES:]
        said = said[said.find(b"\n") + 1 :]
    lines = said.strip(b"\r\n").split(b"\n")
    return clean_block(b"\n".join(lines[-_LINES:]), lines=_LINES)
