"""Asks a person to agree to what relay would not do unasked."""

from __future__ import annotations

from typing import Any

from textual.app import App

from relay_tui.errors import NeedsConsentError
from relay_tui.services.runtimes import NOT_ISOLATED
from relay_tui.ui.hint_words import hint_words
from relay_tui.ui.screens.question import Question


async def consents(app: App[Any], question: NeedsConsentError) -> bool:
    """Whether the person agrees. To be awaited in a worker."""
    asked_again = "Only once: it is remembered for this data dir." if question.consent == NOT_ISOLATED else ""
    rows = [("why", question.detail), ("instead", hint_words(question.hint)), ("asked", asked_again)]
    agreed: bool = await app.push_screen_wait(Question(question.title, [row for row in rows if row[1]], "make it"))
    return agreed
