"""Chat templates taken apart for Ollama: what comes out renders as the template does, or nothing comes out."""

from __future__ import annotations

import pytest

from dsa_lite.chat import PLAIN_TEMPLATE, render
from dsa_lite.core.go_template import modelfile, take_apart
from dsa_lite.records import Message

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN = (  # a system message where none is given
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe good.<|im_end|>\n{% endif %}" + CHATML
)
GEMMA = (  # refuses system messages, begins with bos, other names of roles
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (  # no words before an answer
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
THINKING = (  # earlier answers stand without the empty thought that asks for a new one
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)
TINY = (
    "{# leaves the system message out #}{%- for m in messages -%}{%- if m['role'] == 'user' -%}"
    "{{- '<|user|>' + m['content'] -}}{%- elif m['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' + m['content'] + '<|end|>' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
TEMPLATES = [CHATML, QWEN, GEMMA, MISTRAL, THINKING, TINY, PLAIN_TEMPLATE]


def chat(*turns: tuple[str, str]) -> list[Message]:
    return [Message.model_validate({"role": role, "content": content}) for role, content in turns]


CHATS = [
    chat(("user", "What is 2 + 2?")),
    chat(("user", "{{ .System }}"), ("assistant", "4"), ("user", 'and "3"?'), ("assistant", "6"), ("user", "so?")),
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_parts_give_back_what_the_template_renders(template: str) -> None:
    parts = take_apart(template, SPECIAL)
    assert parts is not None
    for messages in CHATS:
        expected = render(template, messages, special_tokens=SPECIAL, add_generation_prompt=True)
        assert parts.render(messages) == expected.removeprefix("<s>")


@pytest.mark.parametrize("template", [CHATML, QWEN, THINKING])
def test_a_system_message_has_its_place(template: str) -> None:
    parts = take_apart(template, SPECIAL)
    assert parts is not None
    messages = chat(("system", "Short."), ("user", "Hello"))
    expected = render(template, messages, special_tokens=SPECIAL, add_generation_prompt=True)
    assert parts.render(messages) == expected


def test_the_go_template_of_chatml_by_hand() -> None:
    parts = take_apart(QWEN, SPECIAL)
    assert parts is not None
    assert parts.go() == (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n"
        "{{ else }}<|im_start|>system\nBe good.<|im_end|>\n{{ end }}"
        '{{ range .Messages }}{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        "<|im_start|>assistant\n"
        '{{ else if eq .Role "assistant" }}{{ .Content }}<|im_end|>\n{{ end }}{{ end }}'
    )


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ loop.index }}: {{ m['content'] }}\n{% endfor %}",
        "{% for m in messages %}<{{ m['content'] | length }}>{{ m['content'] }}{% endfor %}{{ messages | length }}",
        "{{ messages[-1]['content'] }}",
        "{{ raise_exception('never') }}",
    ],
)
def test_a_template_that_does_more_is_not_approximated(template: str) -> None:
    assert take_apart(template, SPECIAL) is None
    text, whole = modelfile("a.gguf", template, SPECIAL, ["</s>"])
    assert not whole
    assert "TEMPLATE" not in text


def test_the_modelfile_names_file_template_and_stops() -> None:
    text, whole = modelfile("a.gguf", TINY, {}, ["<|end|>", 'a"b'])
    assert whole
    assert text.startswith('FROM ./a.gguf\nTEMPLATE """{{ range .Messages }}')
    assert text.count("PARAMETER stop") == 1
    assert 'PARAMETER stop "<|end|>"\n' in text


def test_braces_of_the_template_stay_text_in_go() -> None:
    template = "{% for m in messages %}{{ '{{' }}{{ m['role'] }}{{ '}}' }}{{ m['content'] }}|{% endfor %}&"
    parts = take_apart(template, {})
    assert parts is not None
    assert '{{ "{{" }}user}}{{ .Content }}|' in parts.go()
