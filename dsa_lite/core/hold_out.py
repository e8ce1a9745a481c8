"""Setting questions aside by the hash of their text: the same ones every time, whatever else is in the file."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

#: Fewer questions than this say too little: then none is set aside.
LEAST = 30


def hold_out(problems: Sequence[str], share: float, *, least: int = LEAST) -> list[bool]:
    """For each problem whether it is set aside: about `share` (0..1) of them, or none if that are fewer than `least`.

    A problem's own text decides: adding, removing or reordering others does not move it across, and copies of a text
    (but for case, blanks and Unicode spelling) stand on the same side.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is in [0, 1), got {share}")
    chosen = [_place(problem) < share for problem in problems]
    return chosen if sum(chosen) >= least else [False] * len(chosen)


def _place(problem: str) -> float:
    """Where a text falls between 0 and 1, evenly spread over texts."""
    plain = " ".join(unicodedata.normalize("NFKC", problem).casefold().split())
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "replace")).digest()[:6], "big") / 2**48
