"""Which of the exercises written so far are in use."""

from __future__ import annotations

from collections.abc import Iterable

from dsa_lite.records import TOO_LONG, Exercise, Rejected


def in_use(exercises: Iterable[Exercise], rejected: Iterable[Rejected]) -> list[Exercise]:
    """The exercises that were not rejected, sorted by id.

    One that is too long for one student is in use all the same: it is left out where it is encoded.
    """
    refused = {r.id for r in rejected if r.reason != TOO_LONG}
    return sorted((e for e in exercises if e.id not in refused), key=lambda e: e.id)
