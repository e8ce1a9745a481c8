"""Teach a local language model a new skill, offline (Dynamic Skill Adaptation, arXiv 2412.19361).

From Python: `dsa_lite.run("calculus", out="runs/mine")` and `dsa_lite.Run("runs/mine")`; see `dsa_lite.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsa_lite.api import Run, run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "run"]


def __getattr__(name: str) -> Any:
    """`run` and `Run`, loaded when they are first used: importing the package stays light."""
    if name not in ("Run", "run"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dsa_lite import api

    return getattr(api, name)
