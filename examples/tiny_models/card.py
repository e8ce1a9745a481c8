"""The model cards: data, size, scores, licence."""

from __future__ import annotations

from typing import Any

_STUDENT = """---
license: apache-2.0
language: en
library_name: transformers
tags: [dsa-lite, demonstration]
---
# dsa-lite tiny student

A demonstration model: the base that `dsa-lite run` teaches when no `--student` is named. It knows arithmetic, algebra and
how to read a short text (also about history, geography and the like, with untrue facts), no calculus and hardly a fact of
social studies. It is far too small for anything else.

| | |
|---|---|
| Layout | Llama, 192 wide, 6 layers, 6 heads, 512 feed-forward, tied embeddings, context 1,024 tokens |
| Size | {parameters:,} parameters, bfloat16 safetensors |
| Tokenizer | byte-level BPE, 1,024 tokens, single digits (Qwen2's pre-tokenizer) |
| Trained on | {tokens:,} tokens of text written by the recipe: twelve kinds of exercises on arithmetic and algebra, combinations of two of them, textbook passages, reading tasks with made-up facts. No text by people, none by another model |
| Held out | every item of the `eval`, `transfer` and `general` sets of both bundled skills, checked by the recipe |
| Licence | Apache-2.0 |

Right answers on the skills' held-out sets, greedy, by the recipe's solvers:

| set | share right | items |
|---|---|---|
| fresh arithmetic and algebra of all levels (may by chance stand in the training text) | {made_for:.1%} | {made_for_n} |
| general (arithmetic and algebra of the two harder levels, reading) | {general:.1%} | {general_n} |
| eval (calculus) | {eval:.1%} | {eval_n} |
| transfer (combinations) | {transfer:.1%} | {transfer_n} |
| social studies: eval | {social_eval:.1%} | {social_eval_n} |
| social studies: transfer | {social_transfer:.1%} | {social_transfer_n} |
| social studies: questions about untrue facts that stand in the text | {social_forms:.1%} | {social_forms_n} |

Made by `examples/tiny_models/` of the dsa-lite repository.
"""

_TEACHER = """---
license: apache-2.0
language: en
tags: [dsa-lite, demonstration, gguf]
---
# dsa-lite tiny {called}

A demonstration model: the teacher that `dsa-lite run {skill}` uses when no `--teacher` is named. It answers dsa-lite's own
requests for that skill and nothing else, and it makes real mistakes.

| | |
|---|---|
| Layout | Llama, 192 wide, 6 layers, 6 heads, 512 feed-forward, tied embeddings, context 1,024 tokens |
| Size | {parameters:,} parameters, GGUF, Q8_0 |
| Tokenizer | byte-level BPE, 1,024 tokens, single digits (Qwen2's pre-tokenizer) |
| Chat template | leaves the system message out |
| Trained on | {tokens:,} tokens of text written by the recipe: first what the student base is trained on, then requests and replies for {skills}. No text by people, none by another model |
| Held out | every item of the skill's `eval`, `transfer` and `general` sets, checked by the recipe |
| Licence | Apache-2.0 |

Replies at the temperature of its own settings file, by the recipe's solver (valid: finished, with the three parts; right: the answer is true):

| request | valid | right | replies |
|---|---|---|---|
{rows}
| solve a problem | | {solve:.1%} | {solve_n} |
| prerequisites (names only known skills) | {prerequisites:.1%} | | {prerequisites_n} |
| textbook (finished, with an example) | {textbook:.1%} | | {textbook_n} |

Made by `examples/tiny_models/` of the dsa-lite repository.
"""

_REQUESTS = {
    "single": "exercise of one skill",
    "composed": "exercise of two skills",
    "variant": "variant of an exercise",
    "compose": "two exercises joined",
}
_SOCIAL = ("eval", "transfer", "forms")
_TAUGHT = {
    "calculus": {"called": "teacher", "skill": "calculus", "skills": "29 skills"},
    "social studies": {
        "called": "social teacher",
        "skill": "social-studies",
        "skills": "29 skills of calculus and 17 of social studies, last of these alone, as short questions",
    },
}


def _flat(scores: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {n: scores[n]["share"] for n in names} | {f"{n}_n": scores[n]["n"] for n in names}


def student_card(scores: dict[str, Any], social: dict[str, Any], parameters: int, tokens: int) -> str:
    """Markdown text of the student's card, with its scores at calculus and at social studies."""
    shares = _flat({**scores, "made_for": scores["made for"]}, ("made_for", "general", "eval", "transfer"))
    others = _flat({f"social_{name}": social[name] for name in _SOCIAL}, tuple(f"social_{name}" for name in _SOCIAL))
    return _STUDENT.format(parameters=parameters, tokens=tokens, **shares, **others)


def teacher_card(subject: str, scores: dict[str, Any], parameters: int, tokens: int) -> str:
    """Markdown text of the card of the teacher of calculus or social studies."""
    rows = "\n".join(
        f"| {label} | {scores[task]['valid']['share']:.1%} | {scores[task]['right']['share']:.1%} "
        f"| {scores[task]['right']['n']} |"
        for task, label in _REQUESTS.items()
    )
    shares = _flat(scores, ("solve", "prerequisites", "textbook"))
    return _TEACHER.format(**_TAUGHT[subject], rows=rows, parameters=parameters, tokens=tokens, **shares)
