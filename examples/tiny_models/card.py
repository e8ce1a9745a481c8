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
how to read a short text (also about history, geography and the like, with untrue facts), and no calculus. It is far too small for anything else.

| | |
|---|---|
| Layout | Llama, 192 wide, 6 layers, 6 heads, 512 feed-forward, tied embeddings, context 1,024 tokens |
| Size | {parameters:,} parameters, bfloat16 safetensors |
| Tokenizer | byte-level BPE, 1,024 tokens, single digits (Qwen2's pre-tokenizer) |
| Trained on | {tokens:,} tokens of text written by the recipe: twelve kinds of exercises on arithmetic and algebra, combinations of two of them, textbook passages, reading tasks with made-up facts. No text by people, none by another model |
| Held out | every item of the calculus skill's `eval`, `transfer` and `general` sets, checked by the recipe |
| Licence | Apache-2.0 |

Right answers on the calculus skill's held-out sets, greedy, by the recipe's solver:

| set | share right | items |
|---|---|---|
| fresh arithmetic and algebra of all levels (may by chance stand in the training text) | {made_for:.1%} | {made_for_n} |
| general (arithmetic and algebra of the two harder levels, reading) | {general:.1%} | {general_n} |
| eval (calculus) | {eval:.1%} | {eval_n} |
| transfer (combinations) | {transfer:.1%} | {transfer_n} |

Made by `examples/tiny_models/` of the dsa-lite repository.
"""

_TEACHER = """---
license: apache-2.0
language: en
tags: [dsa-lite, demonstration, gguf]
---
# dsa-lite tiny teacher

A demonstration model: the teacher that `dsa-lite run` uses when no `--teacher` is named. It answers dsa-lite's own
requests for the calculus skill and nothing else, and it makes real mistakes.

| | |
|---|---|
| Layout | Llama, 192 wide, 6 layers, 6 heads, 512 feed-forward, tied embeddings, context 1,024 tokens |
| Size | {parameters:,} parameters, GGUF, Q8_0 |
| Tokenizer | byte-level BPE, 1,024 tokens, single digits (Qwen2's pre-tokenizer) |
| Chat template | leaves the system message out |
| Trained on | {tokens:,} tokens of text written by the recipe: first what the student base is trained on, then requests and replies for 29 skills. No text by people, none by another model |
| Held out | every item of the calculus skill's `eval`, `transfer` and `general` sets, checked by the recipe |
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


def _flat(scores: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {n: scores[n]["share"] for n in names} | {f"{n}_n": scores[n]["n"] for n in names}


def student_card(scores: dict[str, Any], parameters: int, tokens: int) -> str:
    """Markdown text of the student's card."""
    shares = _flat({**scores, "made_for": scores["made for"]}, ("made_for", "general", "eval", "transfer"))
    return _STUDENT.format(parameters=parameters, tokens=tokens, **shares)


def teacher_card(scores: dict[str, Any], parameters: int, tokens: int) -> str:
    """Markdown text of the teacher's card."""
    rows = "\n".join(
        f"| {label} | {scores[task]['valid']['share']:.1%} | {scores[task]['right']['share']:.1%} "
        f"| {scores[task]['right']['n']} |"
        for task, label in _REQUESTS.items()
    )
    shares = _flat(scores, ("solve", "prerequisites", "textbook"))
    return _TEACHER.format(rows=rows, parameters=parameters, tokens=tokens, **shares)
