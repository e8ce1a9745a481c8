"""Words and numbers for people. Whatever a model, a file or a folder name contributed goes through `clean`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def clean(text: str, limit: int = 0) -> str:
    """One harmless line: white space joined, control and formatting characters made visible, cut at `limit`."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return line[: limit - 1].rstrip() + "…" if limit and len(line) > limit else line


def clean_lines(text: str) -> str:
    """The same, but lines stay lines and indents stay indents."""
    return "\n".join(
        "".join(c if c.isprintable() else "\ufffd" for c in line.expandtabs()) for line in text.splitlines()
    )


def percent(share: float | None, digits: int = 0) -> str:
    """0.783 -> "78 %"; None or NaN -> "-"."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def number(value: float | None, digits: int = 2) -> str:
    """1.3249 -> "1.32"; None or NaN -> "-"."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def points(change: float, digits: int = 0) -> str:
    """0.756 -> "+76"; percentage points, never "-0"."""
    rounded = round(100 * change, digits) + 0.0
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def duration(seconds: float) -> str:
    """7.31 -> "7.3 s", 192 -> "3 min 12 s", 7500 -> "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Bytes: 16.1e9 -> "16.1 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def one_json(value: Any) -> str:
    r"""One JSON object as text, letters outside ASCII as \u escapes: what it is written to may have any encoding.

    NaN and infinities, which JSON does not know, become null.
    """
    return json.dumps(_finite(value), indent=2, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_finite(v) for v in value]
    return value


def verdict(before: float, after: float, p: float | None) -> str:
    """McNemar's p in words: what the change on the same items means."""
    if p is None or math.isnan(p):
        return "no comparison"
    odds = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
    if p < 0.05:
        return f"{'better' if after > before else 'worse'}, and not by chance ({odds})"
    return f"no change that chance could not explain ({odds})"
