"""Writing a skill.toml for a person to edit: the syllabus, and a word on everything else the file may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dsa_lite.errors import UsageError
from dsa_lite.io.files import write_atomic
from dsa_lite.io.toml import to_toml
from dsa_lite.records import Checker, Topic

SKILL_FILE = "skill.toml"

_HEAD = """\
# A skill for `dsa-lite run`: change what you like, then give this file's folder in place of a skill's name.

# What runs are called, and the subject as the teacher is told it.
"""
_CHECKER = """
# How answers are compared: "math" (same value, written in any order), "exact" (same text) or
# "choice" (the same letter).
"""
_TEACHER = """
# The teacher where the command line names none, as --teacher takes it.
# teacher = "big.gguf"
"""
_DATA = """
# Questions that are never trained on show what was learned, before and after. One JSON object per line
# with id, problem, answer and topic; take the "# " away where you have such files in this folder. Without
# any, a share of the teacher's exercises is set aside, each kept only where new solutions confirm it.
#
# [held_out]
# eval = "eval.jsonl"          # is the skill learned?
# transfer = "transfer.jsonl"  # can its parts be combined in new ways?
# general = "general.jsonl"    # is what the student knew before still there?

# Data as you have it: JSONL, JSON, CSV or Parquet in this folder, in one of the usual layouts (messages,
# prompt_completion, alpaca, gsm8k, question_answer, choice). The layout is read off the columns.
#
# [data]
# exercises = "mine.csv"       # trained on, next to what the teacher writes
# held_out = "test.csv"        # never trained on; in place of held_out.eval
# columns = {problem = "question", answer = "label", topic = "chapter"}   # where the names are others
# layout = "question_answer"   # where it is read off wrongly
# topic = "First steps"        # of questions that do not say theirs
# turns = "all"                # every reply of a chat, not only the last
# count_from = 1               # where answers are numbers of choices and the file does not show from where
# hold_out = 0.1               # without any held-out set: this share of the exercises (30 at least, or none)

# The syllabus. Every topic is one skill; `prerequisites` names topics that come before it. The list may
# be incomplete: the teacher is asked for further prerequisites, and adds skills that are missing.
# The description is one line that tells the teacher what the topic covers and how it is asked.
"""
_EXAMPLES = (
    Topic(name="First steps", description="What this topic teaches and how it is asked, in one line."),
    Topic(name="Next steps", description="What builds on it.", prerequisites=("First steps",)),
)


def skill_toml(
    name: str, title: str, *, description: str = "", checker: Checker = "math", topics: Sequence[Topic] = ()
) -> str:
    """The text of a commented skill.toml; without topics, two examples stand in their place. All texts are quoted."""
    words = to_toml({"name": name, "title": title, "description": description})
    tables = [
        "\n[[topic]]\n"
        + to_toml({"name": t.name, "description": t.description, "prerequisites": list(t.prerequisites)})
        for t in topics or _EXAMPLES
    ]
    return "".join([_HEAD, words, _CHECKER, to_toml({"checker": checker}), _TEACHER, _DATA, *tables])


def free_place(folder: Path) -> Path:
    """Where a new skill's file goes; UsageError when there is one already."""
    path = folder / SKILL_FILE
    if path.exists() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"there is already {path if path.exists() else folder}", hint="choose another --out FOLDER")
    return path


def write_skill(folder: Path, text: str) -> Path:
    """Write `text` to the folder's skill.toml, which must not exist yet; its path."""
    path = free_place(folder)
    write_atomic(path, text)
    return path
