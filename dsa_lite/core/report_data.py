"""What the report page shows: a run's records as one plain dict, ready for JSON.

Lists instead of objects where there are many of a kind (report_examples.py): at 50,000 examples the dict stays as small
as the texts in it allow. Nothing here knows of HTML.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, get_args

from dsa_lite.core.graph import SkillGraph, skill_id
from dsa_lite.core.in_use import in_use
from dsa_lite.core.report_examples import (
    ACTIONS,
    ORIGINS,
    example_columns,
    losses_by_epoch,
    round_columns,
    rounded,
    skill_curves,
    solved_again,
)
from dsa_lite.core.statistics import wilson
from dsa_lite.records import (
    REGIONS,
    Decision,
    Exercise,
    Graded,
    HeldOutItem,
    Observed,
    Rejected,
    Split,
    Textbook,
    Vote,
)

SPLITS: tuple[Split, ...] = get_args(Split)
SAMPLES = 8  # rejects shown per reason
SHARE_DIGITS = 7  # so many that a percentage rounded once more by the page is still right
REPLY_CHARS = 800  # shown of a wrong answer: a student may ramble up to its token limit


@dataclass(frozen=True)
class RunRecords:
    """Everything a run's folder says, in any order; what an unfinished run lacks is empty or None.

    `decisions` and `rounds` (facts of round.json) by round, `graded` by ("before" or "after", split), `items`: the
    held-out items by id, `stages`: status by stage, in order.
    """

    settings: Mapping[str, Any]
    stages: Mapping[str, str]
    graph: SkillGraph | None = None
    textbooks: Sequence[Textbook] = ()
    exercises: Sequence[Exercise] = ()
    rejected: Sequence[Rejected] = ()
    votes: Sequence[Vote] = ()
    observed: Sequence[Observed] = ()
    decisions: Mapping[int, Sequence[Decision]] = field(default_factory=dict)
    rounds: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    graded: Mapping[tuple[str, Split], Sequence[Graded]] = field(default_factory=dict)
    items: Mapping[str, HeldOutItem] = field(default_factory=dict)
    summary: Mapping[str, Any] | None = None


def report_data(records: RunRecords) -> dict[str, Any]:
    """The page's data: only dicts with text keys, lists, texts, finite numbers, booleans and None."""
    exercises = in_use(records.exercises, records.rejected)
    skills = _skill_numbers(records, exercises)
    losses = losses_by_epoch(records.observed)
    return {
        "run": _run(records),
        "sets": _sets(records.summary),
        "topics": _topics(records.summary),
        "skills": _skills(records, skills),
        "edges": [[skills[a], skills[b]] for a, b in records.graph.edges] if records.graph else [],
        "wrong": _wrong(records, skills),
        "words": {"regions": REGIONS, "actions": ACTIONS, "origins": ORIGINS},
        "examples": example_columns(exercises, skills, losses, solved_again(records.votes)),
        "rounds": round_columns(records.decisions, records.rounds, exercises, _last_round(records)),
        "curves": skill_curves(exercises, skills, losses),
        "rejects": _rejects(records.rejected),
        "settings": _settings(records.settings),
    }


def _last_round(records: RunRecords) -> int | None:
    return max(records.decisions, default=None) if records.stages.get("tune") == "done" else None


def _run(records: RunRecords) -> dict[str, Any]:
    summary, identity = records.summary or {}, records.settings.get("identity", {})
    named = {key: _base_name(identity.get(key, "")) for key in ("skill", "teacher", "student", "backend", "seed")}
    return {
        **named,
        **{key: summary[key] for key in ("teacher", "student", "device") if summary.get(key)},
        "title": summary.get("title") or named["skill"],
        "version": str(records.settings.get("versions", {}).get("dsa-lite", "")),
        "seconds": rounded(summary.get("seconds")),
        "written": summary.get("teacher_tokens"),
        "trained": summary.get("trained_tokens"),
        "notes": [str(note) for note in summary.get("notes") or ()],
        # The stage report writes the summary, then this page: for a reader it is done.
        "stages": [
            [stage, "done" if stage == "report" and summary else status] for stage, status in records.stages.items()
        ],
    }


def _sets(summary: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One entry per held-out set that was answered."""
    found = []
    for split in SPLITS if summary else ():
        before, after = (summary.get(when, {}).get(split) for when in ("before", "after"))  # type: ignore[union-attr]
        if before and after and before.get("n"):
            p = (summary.get("mcnemar") or {}).get(split)  # type: ignore[union-attr]
            sides = {"before": _score(before), "after": _score(after)}
            found.append({"set": split, "n": after["n"], **sides, "p": rounded(p)})
    return found


def _topics(summary: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    rows = summary.get("topics", []) if summary else []
    return [
        {"topic": r["topic"], "set": r["set"], "n": r["n"], "before": _score(r["before"]), "after": _score(r["after"])}
        for r in rows
    ]


def _score(score: Mapping[str, Any]) -> list[float | int | None]:
    """[share right, low, high]"""
    return [rounded(score.get(key), digits=SHARE_DIGITS) for key in ("accuracy", "low", "high")]


def _skill_numbers(records: RunRecords, exercises: Sequence[Exercise]) -> dict[str, int]:
    """A number for every skill named anywhere: those of the graph first, in its order."""
    names = list(records.graph.skills) if records.graph else []
    names += sorted({s for e in exercises for s in e.skills} | {t.skill for t in records.textbooks})
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _skills(records: RunRecords, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    known = records.graph.skills if records.graph else {}
    texts: dict[str, list[str]] = defaultdict(list)
    sources: dict[str, dict[str, None]] = defaultdict(dict)
    for book in sorted(records.textbooks, key=lambda b: b.id):
        texts[book.skill].append(book.text)
        sources[book.skill] |= dict.fromkeys(book.sources)
    scores = {split: _by_topic(records, split) for split in ("eval", "general")}
    rows = []
    for id in numbers:
        skill = known.get(id)
        split = next((s for s in ("eval", "general") if id in scores[s]), None)
        correct, n = scores[split][id] if split else (0, 0)
        rows.append({
            "name": skill.name if skill else id, "text": skill.description if skill else "",
            "level": skill.level if skill else None, "source": skill.source if skill else "",
            "books": texts[id], "sources": list(sources[id]), "set": split, "n": n,
            "score": [rounded(x, SHARE_DIGITS) for x in (correct / n, *wilson(correct, n))] if n else None,
        })  # fmt: skip
    return rows


def _by_topic(records: RunRecords, split: str) -> dict[str, tuple[int, int]]:
    """Skill id -> right answers and answers after training, of the items whose topic is the skill."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for (when, of), answers in records.graded.items():
        for g in answers if (when, of) == ("after", split) else ():
            right[skill_id(g.topic)] += g.correct
            total[skill_id(g.topic)] += 1
    return {id: (right[id], total[id]) for id in total}


def _wrong(records: RunRecords, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Held-out items answered wrongly after training; `lost`: answered rightly before."""
    found = []
    for split in SPLITS:
        before = {g.id for g in records.graded.get(("before", split), ()) if g.correct}
        for g in sorted(records.graded.get(("after", split), ()), key=lambda g: g.id):
            if g.correct:
                continue
            item = records.items.get(g.id)
            names = dict.fromkeys(skill_id(name) for name in (g.topic, *(item.skills if item else ())))
            found.append({
                "set": split, "skills": [numbers[n] for n in names if n in numbers], "lost": g.id in before,
                "problem": item.problem if item else None, "gold": item.answer if item else None,
                "answer": g.answer, "reply": _cut(g.reply, REPLY_CHARS), "id": g.id,
            })  # fmt: skip
    return found


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _rejects(rejected: Iterable[Rejected]) -> list[dict[str, Any]]:
    by_reason: dict[str, list[Rejected]] = defaultdict(list)
    for r in sorted(rejected, key=lambda r: (r.reason, r.stage, r.id)):
        by_reason[r.reason].append(r)
    return [
        {"reason": reason, "count": len(rows),
         "samples": [[r.stage, r.id, r.detail, _cut(r.sample, REPLY_CHARS)] for r in _spread(rows, SAMPLES)]}
        for reason, rows in sorted(by_reason.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]  # fmt: skip


def _spread(rows: Sequence[Rejected], n: int) -> list[Rejected]:
    """At most n of them, evenly spaced, so that no skill that comes first in the alphabet fills the samples."""
    return [rows[i * len(rows) // n] for i in range(n)] if len(rows) > n else list(rows)


def _settings(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tables of run.toml as [name, value] rows. Of a path only its last part: a page is shown to others."""
    flat: dict[str, list[list[str]]] = {"identity": [], "versions": []}
    for table in flat:
        for name, value in dict(settings.get(table, {})).items():
            flat[table].append([name, _base_name(value) if table == "identity" else _shown(value)])
    for name, value in dict(settings.get("config", {})).items():
        if isinstance(value, Mapping):
            flat[name] = [[key, _base_name(v) if key == "folder" else _shown(v)] for key, v in value.items()]
        else:
            flat.setdefault("run", []).append([name, _shown(value)])
    return [{"table": table, "rows": rows} for table, rows in flat.items() if rows]


def _shown(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _base_name(value: object) -> str:
    """The last part of a file path; an address or a plain name stays as it is."""
    text = str(value)
    return text if "://" in text else PurePath(text.replace("\\", "/")).name or text
