"""Credentials for git that are never in an argument, an environment variable or a file.

The secret is in anonymous memory, which git inherits as an open descriptor. A credential helper, bound to the address
of the source, reads it from there. GIT_ASKPASS is not used: git passes the user name, often a token itself, in the
arguments of an askpass program, and an askpass program would answer another host after a redirect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from relay_tui.ports import CloneSource

_LONG = 8  # a user name of this length may be a token; a shorter one may be an ordinary word in a message


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """Options to put before the git command, and descriptors that git must inherit."""

    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@contextmanager
def provide_credentials(source: CloneSource) -> Iterator[GitCredentials]:
    """Let git log in to `source`, and nowhere else, within the block. The user's helpers do not get the secret."""
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
    """Return a descriptor that reads `content`: anonymous memory, or a pipe if the system has none.

    A pipe can be read only once.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("relay", 0)
        os.write(descriptor, content)
        return descriptor
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def spellings(source: CloneSource) -> tuple[str, ...]:
    """Return each spelling of the secrets of `source`, longest first, to remove them from git's output."""
    secrets = {source.password}
    if not source.password or len(source.username) >= _LONG:
        secrets.add(source.username)
    forms = {form for secret in secrets if secret for form in (secret, quote(secret), quote(secret, safe=""))}
    return tuple(sorted(forms, key=len, reverse=True))
