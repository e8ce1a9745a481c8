"""What stages may announce. The command line turns these into progress bars, lines or JSON; nothing else listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

STAGES = ("graph", "textbooks", "exercises", "rehearsal", "pretrain", "tune", "evaluate", "report")


@dataclass(frozen=True)
class StageStarted:
    """`total` work units of `unit` (e.g. "replies", "steps", "items"); 0 when not known yet."""

    stage: str
    total: int
    unit: str
    label: str = ""


@dataclass(frozen=True)
class StageProgress:
    """`done` of `total` units; `tokens` so far (generated or trained) and `figures` to show beside the bar.

    `in_flight`: requests the teacher works on at a time; 0 where it does not say or is not asked.
    """

    stage: str
    done: int
    total: int
    tokens: int = 0
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    label: str = ""
    in_flight: int = 0


@dataclass(frozen=True)
class StageFinished:
    """`status`: done now, or reused from an earlier, identical run of the stage."""

    stage: str
    status: Literal["done", "reused"]
    seconds: float
    summary: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence for the person watching; "warning" when something was lost, repaired or looks wrong."""

    stage: str
    text: str
    level: Literal["info", "warning"] = "info"


Event: TypeAlias = StageStarted | StageProgress | StageFinished | Note
Emit: TypeAlias = Callable[[Event], None]
