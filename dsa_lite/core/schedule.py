"""The learning rate over a stage."""

from __future__ import annotations

import math

FINAL = 0.1  # share of the peak at the end


def learning_rate(progress: float, peak: float, warmup: float, final: float = FINAL) -> float:
    """Linear from 0 to `peak` over the first `warmup` share of the stage, then a cosine down to `final` times that.

    `progress`: share of the stage that is done, cut to [0, 1]; pass (step + 1) / steps, or the first step is lost
    where there is a warm-up. `warmup` in [0, 1). Ours: no source gives a schedule for DSA.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return peak * progress / warmup
    share = (progress - warmup) / (1 - warmup)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share)))
