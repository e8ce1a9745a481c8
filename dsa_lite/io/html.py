"""report.html: one file that needs no network and no other file. Texts of models reach it as data alone."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from dsa_lite.core.graph import from_node_link
from dsa_lite.core.report_data import SPLITS, RunRecords, report_data
from dsa_lite.errors import UsageError
from dsa_lite.events import STAGES
from dsa_lite.io.run_folder.rundir import RunDir

SCRIPTS = ("dom.js", "drawer.js", "story.js", "skills.js", "plot.js", "map.js", "example.js", "rest.js", "start.js")
#: A JSON text stays the same text to a JSON reader, and can neither close its element nor break a line of script.
_INERT = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def report_page(run: RunDir) -> str:
    """The page for a run, finished or not. Raises ConfigError where the folder's files cannot be read."""
    return render(report_data(read_records(run)))


def read_records(run: RunDir) -> RunRecords:
    """Everything the page needs from a run's folder."""
    rounds = run.rounds()
    entries = {stage: run.stage(stage) for stage in STAGES}
    try:
        graph = from_node_link(run.read_graph())
    except UsageError:  # not written yet
        graph = None
    return RunRecords(
        settings=run.settings(),
        stages={stage: entry.status if entry else "to do" for stage, entry in entries.items()},
        graph=graph,
        textbooks=run.textbooks().read(),
        exercises=run.lessons(),
        rejected=run.rejected().read(),
        votes=run.votes().read(),
        observed=[o for r in range(1, max(rounds, default=0) + 2) for o in run.observations(r).read()],
        decisions={r: run.decisions(r).read() for r in rounds},
        rounds={r: run.read_round(r) for r in rounds},
        graded={(when, split): run.graded(when, split).read() for when in ("before", "after") for split in SPLITS},
        items={item.id: item for split in SPLITS for item in run.held_out(split).read()},
        summary=run.read_summary(),
    )


def render(data: dict[str, Any]) -> str:
    """The page around its data. ValueError: the data holds a NaN or an infinity."""
    style = _asset("report.css")
    script = "(() => {\n'use strict';\n" + "\n".join(_asset(name) for name in SCRIPTS) + "})();\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _asset("page.html").replace("{policy}", policy).replace("{style}", style).replace("{script}", script)
    head, _, tail = page.partition("{data}")
    inert = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_INERT)
    return f"{head}{inert}{tail}"


def _asset(name: str) -> str:
    return (files("dsa_lite") / "io" / "report" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
