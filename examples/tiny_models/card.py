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
how to read a short text, no calculus and no fact of social studies. It is far too small for anything else.

| | |
|---|---|
| Layout | Llama, 192 wide, 6 layers, 6 heads, 512 feed-forward, tied embeddings, context 1,024 tokens |
| Size | {parameters:,} parameters, bfloat16 safetensors |
| Tokenizer | byte-level BPE, 1,024 tokens, single digits (Qwen2's pre-tokenizer) |
| Trained on | {tokens:,} tokens of text written by the recipe: twelve kinds of exercises on arithmetic and algebra, combinations of two of them, textbook passages, reading tasks with made-up facts. No text by people, none by another model |
| Held out | every item of the `eval`, `transfer` and `general` sets of the skills calculus and social studies, checked by the recipe |
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
# dsa-lite tiny teacher

A demonstration model: the teacher that `dsa-lite run` uses when no `--teacher` is named. It answers dsa-lite's own
requests for the skills calculus and social studies and nothing else, and it makes real mistakes.

| | |
|---|---|
| Layout | Llama, 192 wide, 6 layers, 6 heads, 512 feed-forward, tied embeddings, context 1,024 tokens |
| Size | {parameters:,} parameters, GGUF, Q8_0 |
| Tokenizer | byte-level BPE, 1,024 tokens, single digits (Qwen2's pre-tokenizer) |
| Chat template | leaves the system message out |
| Trained on | {tokens:,} tokens of text written by the recipe: first what the student base is trained on, then requests and replies for 29 skills of calculus and 17 of social studies. No text by people, none by another model |
| Held out | every item of the calculus skill's `eval`, `transfer` and `general` sets, checked by the recipe |
| Licence | Apache-2.0 |

Replies at the temperature of its own settings file, by the recipe's solvers (valid: finished, with the three parts; right: the answer is true):

{calculus}

{social}

Made by `examples/tiny_models/` of the dsa-lite repository.
"""

_REPLIES = """| {subject} | valid | right | replies |
|---|---|---|---|
{rows}
| solve a problem | | {solve:.1%} | {solve_n} |
| prerequisites (names only known skills) | {prerequisites:.1%} | | {prerequisites_n} |
| textbook (finished, with an example) | {textbook:.1%} | | {textbook_n} |"""

_REQUESTS = {
    "single": "exercise of one skill",
    "composed": "exercise of two skills",
    "variant": "variant of an exercise",
    "compose": "two exercises joined",
}
_SOCIAL = ("eval", "transfer", "forms")


def _flat(scores: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {n: scores[n]["share"] for n in names} | {f"{n}_n": scores[n]["n"] for n in names}


def student_card(scores: dict[str, Any], social: dict[str, Any], parameters: int, tokens: int) -> str:
    """Markdown text of the student's card: its scores at calculus and at social studies."""
    shares = _flat({**scores, "made_for": scores["made for"]}, ("made_for", "general", "eval", "transfer"))
    known = _flat({f"social_{n}": social[n] for n in _SOCIAL}, tuple(f"social_{n}" for n in _SOCIAL))
    return _STUDENT.format(parameters=parameters, tokens=tokens, **shares, **known)


def teacher_card(scores: dict[str, Any], social: dict[str, Any], parameters: int, tokens: int) -> str:
    """Markdown text of the teacher's card: its scores at calculus and at social studies."""
    calculus, others = _replies("calculus", scores), _replies("social studies", social)
    return _TEACHER.format(calculus=calculus, social=others, parameters=parameters, tokens=tokens)


def _replies(subject: str, scores: dict[str, Any]) -> str:
    """The table of one subject's replies."""
    rows = "\n".join(
        f"| {label} | {scores[task]['valid']['share']:.1%} | {scores[task]['right']['share']:.1%} "
        f"| {scores[task]['right']['n']} |"
        for task, label in _REQUESTS.items()
    )
    shares = _flat(scores, ("solve", "prerequisites", "textbook"))
    return _REPLIES.format(subject=subject, rows=rows, **shares)
