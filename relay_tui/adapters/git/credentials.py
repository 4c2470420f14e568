"""Lending git a secret that is never in an argument, an environment or a file.

The secret lies in anonymous memory that git inherits as an open descriptor. A credential helper, bound to the
address of the source, reads it from there. A helper is chosen over GIT_ASKPASS because git puts the user name,
often a token itself, into the arguments of an askpass program, and because a redirect to another host must not get it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from relay_tui.ports import CloneSource

_LONG = 8  # a user name of so many characters may be a token; shorter ones are words that errors may contain


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """What git gets: options for before its command, and descriptors to inherit."""

    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@contextmanager
def provide_credentials(source: CloneSource) -> Iterator[GitCredentials]:
    """Within the block git can log in to `source`, and to nothing else; no helper of the user is told of it."""
    if not source.username and not source.password:
        yield GitCredentials()
        return
    descriptor = _memory(f"username={source.username}\npassword={source.password}\n".encode(errors="surrogateescape"))
    parts = urlsplit(source.url)
    scope = f"credential.{parts.scheme}://{parts.netloc}"
    helper = f'!f() {{ test "$1" = get && cat </dev/fd/{descriptor}; }}; f'
    try:
        yield GitCredentials(
            ("-c", "credential.helper=", "-c", f"{scope}.helper=", "-c", f"{scope}.helper={helper}"), (descriptor,)
        )
    finally:
        os.close(descriptor)


def _memory(content: bytes) -> int:
    """A descriptor that reads `content`: anonymous memory, or where there is none a pipe, which answers once."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("relay", 0)
        os.write(descriptor, content)
        return descriptor
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def spellings(source: CloneSource) -> tuple[str, ...]:
    """Each way a secret of `source` could be written, longest first, for taking it out of what git says."""
    secrets = {source.password}
    if not source.password or len(source.username) >= _LONG:
        secrets.add(source.username)
    forms = {form for secret in secrets if secret for form in (secret, quote(secret), quote(secret, safe=""))}
    return tuple(sorted(forms, key=len, reverse=True))
