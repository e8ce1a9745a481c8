"""Chat templates: small imitations of the kinds that real models carry."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dsa_lite.chat import MARK, PLAIN_TEMPLATE, end_token, render
from dsa_lite.errors import ModelError
from dsa_lite.records import Message

SYSTEM = Message(role="system", content="Be <brief> & 'good'.")
USER = Message(role="user", content="2 + 2?")
REPLY = Message(role="assistant", content="4")
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

CHATML = (
    "{%- for m in messages %}\n    {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}\n{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
HEADERS = (
    "{{ bos_token }}{% set loop_messages = messages %}{% for m in loop_messages %}"
    "{{ '<|header|>' + m['role'] + '<|end_header|>\n\n' + m['content'] | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|header|>assistant<|end_header|>\n\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}"
    "{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
DROPS_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ 'Q: ' + m.content }}"
    "{% elif m.role == 'assistant' %}{{ 'A: ' + m.content }}{% endif %}{% endfor %}"
)
PARTS = "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{{ p.text }};{% endfor %}{% endfor %}"
ALWAYS_THINKS = "{{ messages[0].content }}{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
CHANNELS = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{{ '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|return|>' }}{% else %}"
    "{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


def show(template: str, *messages: Message, prompt: bool = True) -> str:
    return render(template, messages, special_tokens=TOKENS, add_generation_prompt=prompt)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (PLAIN_TEMPLATE, "System: Be <brief> & 'good'.\n\nUser: 2 + 2?\n\nAssistant:"),
        (
            CHATML,
            "<|im_start|>system\nBe <brief> & 'good'.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        ),
        (
            HEADERS,
            "<s><|header|>system<|end_header|>\n\nBe <brief> & 'good'.<|eot|>"
            "<|header|>user<|end_header|>\n\n2 + 2?<|eot|><|header|>assistant<|end_header|>\n\n",
        ),
        (NO_SYSTEM, "<s>[INST] Be <brief> & 'good'.\n\n2 + 2? [/INST]"),
        (DROPS_SYSTEM, "Q: Be <brief> & 'good'.\n\n2 + 2?"),
        (PARTS, "system:Be <brief> & 'good'.;user:2 + 2?;"),
    ],
)
def test_system_and_user(template: str, expected: str) -> None:
    assert show(template, SYSTEM, USER) == expected


def test_a_chat_with_its_reply() -> None:
    assert show(NO_SYSTEM, SYSTEM, USER, REPLY, prompt=False) == "<s>[INST] Be <brief> & 'good'.\n\n2 + 2? [/INST]4</s>"


@pytest.mark.parametrize(
    ("opening", "closed"),
    [
        ("<think>", "<think></think>"),
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<mm:think>", "<mm:think></mm:think>"),
        ("<think:open>", "<think:open></think:open>"),
        ("<|START_THINKING|>", "<|START_THINKING|><|END_THINKING|>"),
        ("<think></think>", "<think></think>"),
        ("I think>", "I think>"),
    ],
)
def test_a_thought_opened_by_the_prompt_is_closed(opening: str, closed: str) -> None:
    template = ALWAYS_THINKS.replace("<think>\n", opening)
    assert show(template, USER) == f"2 + 2?<|Assistant|>{closed}"
    assert show(template, USER, prompt=False) == "2 + 2?"


def test_answers_stand_in_the_final_channel() -> None:
    prompt = show(CHANNELS, USER)
    assert prompt.endswith("<|start|>assistant<|channel|>final<|message|>")
    assert show(CHANNELS, USER, REPLY, prompt=False) == f"{prompt}4<|return|>"


def test_what_templates_may_call() -> None:
    extras = (
        "{% for m in messages %}{% generation %}{{ m.content | tojson }}{% endgeneration %}"
        "{% if loop.first %}{% continue %}{% endif %}{% endfor %} {{ strftime_now('%d %b %Y') }}"
        "{{ [{'a': 'é'}] | tojson(indent=None) }}{{ tools is none }}{{ documents is none }}"
    )
    assert show(extras, Message(role="user", content="é<")) == '"é<" 26 Jul 2024[{"a": "é"}]TrueTrue'
    needs_tools = "{{ messages[0].content }}{% for tool in tools %}{{ tool }}{% endfor %}"
    assert show(needs_tools, USER) == "2 + 2?"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages[0].content", "chat template fails"),
        ("{{ raise_exception('not for you') }}", "not for you"),
        ("{{ 1 // 0 }}", "zero"),
        ("hello", "leaves out what the user says"),
        ("{{ messages.__class__.__mro__ }}{{ messages[0].content }}", "unsafe"),
    ],
)
def test_templates_that_fail(template: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        show(template, USER)
    assert caught.value.hint


class Pieces:
    """Two special tokens and one id per other character."""

    eos_id = 0
    special_tokens = TOKENS

    def __init__(self, template: str | None, special: str) -> None:
        self.chat_template = template
        self._special = ("</s>", special)

    def encode(self, text: str) -> list[int]:
        ids = []
        while text:
            found = next((i for i, name in enumerate(self._special) if text.startswith(name)), None)
            ids.append(ord(text[0]) if found is None else found)
            text = text[1 if found is None else len(self._special[found]) :]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(i) for i in ids if i > 1)


@pytest.mark.parametrize(
    ("template", "special", "end"),
    [
        (CHATML, "<|im_end|>", 1),
        (CHATML, "<unknown>", 0),
        (HEADERS, "<|eot|>", 1),
        (NO_SYSTEM, "<|eot|>", 0),
        (CHANNELS, "<|return|>", 1),
        (ALWAYS_THINKS, "<think>", 0),
        (None, "<|eot|>", 0),
    ],
)
def test_the_token_that_ends_a_turn(template: str | None, special: str, end: int) -> None:
    assert MARK not in (template or "")
    assert end_token(Pieces(template, special)) == end


LOOP = "{% for i in range(99999) %}"
WITHOUT_END = {
    "nested loops": LOOP * 3 + "{% endfor %}" * 3 + "{{ messages[0].content }}",
    "nested loops that write": LOOP * 3 + "x" + "{% endfor %}" * 3,
    "loops over a text": "{% set t = 'x' * 10000 %}"
    + "{% for a in t %}" * 3 + "{% endfor %}" * 3,
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "a power": "{{ 10 ** 10 ** 10 }}",
    "a text many times": "{{ 'x' * 10000000000 }}",
    "a wide format": "{{ '%9999999999d' % 1 }}",
    "doubling": "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "doubling by joining": "{% set ns = namespace(s='x') %}"
    "{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
}  # fmt: skip


@pytest.mark.parametrize("kind", WITHOUT_END)
def test_a_template_without_end_is_refused(kind: str) -> None:
    with pytest.raises(ModelError, match="chat template fails"):
        render(WITHOUT_END[kind], [USER], special_tokens=TOKENS, add_generation_prompt=True)


def test_counting_changes_nothing() -> None:
    """Every variable of a loop, its length, recursion, calls, operators and filters are jinja2's own."""
    template = (
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ ' last' if loop.last }}"
        "{{ loop.previtem is defined }}"
        "{{ m.role ~ ':' ~ loop.index0 }}{{ '-' * 3 + m.content }}{% else %}none{% endfor %}"
        "{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v * 2 + 1 }}{% endfor %}"
        "{% for n in [1, [2, 3]] recursive %}{{ loop(n) if n is iterable else n }}{% endfor %}"
        "{% for x in undefined_thing %}never{% endfor %}{{ 7 % 4 }}{{ [1] + [2] }}"
        "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(1) ~ f(2) }}"
    )
    plain = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)
    expected = plain.render(messages=[m.model_dump() for m in (SYSTEM, USER, REPLY)])
    assert render(template, [SYSTEM, USER, REPLY], special_tokens={}, add_generation_prompt=False) == expected
