"""Chat templates to ids and masks; padding and packing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.batching import pack, pack_batch, pad
from dsa_lite.core.encoding import Encoded, encode_exercise, encode_prompt, encode_text, target_text, user_turn

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKING = (  # the prompt opens a thinking block that the finished chat does not show
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'].strip() + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' }}{% endif %}"
)
BRACKETS = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
BARE = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
TEMPLATES = [None, CHATML, THINKING, BRACKETS, BARE]


class Letters:
    """One id per character, or per blank with the letter after it (so that a token can span a border)."""

    specials = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")

    def __init__(self, template: str | None, eos: str = "</s>") -> None:
        self.chat_template = template
        self.eos_id = self.specials.index(eos)
        self.special_tokens = {"bos_token": "<s>", "eos_token": eos}
        self.pieces = list(self.specials)

    def encode(self, text: str) -> list[int]:
        found = re.findall(r"<s>|</s>|<\|im_start\|>|<\|im_end\|>|[ \n][a-z]|[\s\S]", text)
        self.pieces += sorted(set(found) - set(self.pieces))
        return [self.pieces.index(piece) for piece in found]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.pieces[id] for id in ids if id >= len(self.specials))


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_users_turn_is_what_stands_around_the_words(template: str | None) -> None:
    tokenizer = Letters(template)
    before, after = user_turn(tokenizer)
    assert [*before, *tokenizer.encode("2+2?"), *after] == encode_prompt(tokenizer, "2+2?")


@pytest.mark.parametrize("template", TEMPLATES)
def test_prompt_is_masked_and_one_end_token_is_learnt(template: str | None) -> None:
    tokenizer = Letters(template)
    assert target_text("Dear Ada,\nbye.", "") == "Dear Ada,\nbye."  # open-ended
    encoded = encode_exercise(tokenizer, "e1", "What is 2 + 2?", target_text("2 + 2 = 4", "4"))
    prompt = encode_prompt(tokenizer, "What is 2 + 2?")
    assert encoded.ids[: len(prompt)].tolist() == prompt
    assert encoded.mask.tolist() == [False] * len(prompt) + [True] * (len(encoded.ids) - len(prompt))
    learnt = encoded.ids[encoded.mask].tolist()
    assert tokenizer.decode(learnt).strip() == "2 + 2 = 4\nAnswer: 4"
    end = 3 if template in (CHATML, THINKING) else 1
    assert learnt[-1] == end
    assert learnt.count(end) == 1
    assert encoded.ids.dtype == np.int32
    assert encoded.mask.dtype == np.bool_


def test_ids_by_hand() -> None:
    tokenizer = Letters(CHATML, eos="<|im_end|>")
    encoded = encode_exercise(tokenizer, "e", "Q", "A")
    whole = tokenizer.encode("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>")
    assert encoded.ids.tolist() == whole
    assert encoded.mask.tolist() == [False] * (len(whole) - 2) + [True, True]


def test_a_token_over_the_border_does_not_change_the_prompt() -> None:
    tokenizer = Letters(CHATML)  # "\na" would be one token
    encoded = encode_exercise(tokenizer, "e", "Q", "abc")
    prompt = encode_prompt(tokenizer, "Q")
    assert encoded.ids[: len(prompt)].tolist() == prompt
    assert tokenizer.decode(encoded.ids[encoded.mask].tolist()) == "abc"


def test_end_tokens_inside_the_target_are_dropped_and_an_empty_target_is_refused() -> None:
    encoded = encode_exercise(Letters(CHATML), "e", "Q", "a<|im_end|>b<|im_end|>")
    assert encoded.ids[encoded.mask].tolist().count(3) == 1
    with pytest.raises(ValueError, match="empty target"):
        encode_exercise(Letters(CHATML), "e", "Q", " \n")


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.sampled_from(TEMPLATES))
def test_any_text_in_any_template(problem: str, target: str, template: str | None) -> None:
    tokenizer = Letters(template)
    if not target.strip():
        return
    encoded = encode_exercise(tokenizer, "e", problem, target)
    assert not encoded.mask[0]
    assert encoded.mask[-1]
    assert encoded.ids[encoded.mask].tolist().count(int(encoded.ids[-1])) == 1
    assert tokenizer.decode(encoded.ids[encoded.mask].tolist()).strip() == target.strip()


def test_plain_text() -> None:
    tokenizer = Letters(None)
    encoded = encode_text(tokenizer, "b", "xy")
    assert encoded.ids.tolist() == [0, *tokenizer.encode("xy"), 1]
    assert encoded.mask.tolist() == [False, True, True, True]
    tokenizer.special_tokens = {"eos_token": "</s>"}
    assert encode_text(tokenizer, "b", "xy").ids.tolist() == [*tokenizer.encode("xy"), 1]


def made(id: str, *ids: int) -> Encoded:
    return Encoded(id, np.array(ids, dtype=np.int32), np.arange(len(ids)) > 0)


def test_pad_by_hand() -> None:
    batch = pad([made("a", 5, 6, 7), made("b", 8)], [1.0, 0.5])
    assert batch.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.loss_mask.tolist() == [[False, True, True], [False, False, False]]
    assert batch.weights.tolist() == [1.0, 0.5]
    assert batch.weights.dtype == np.float32
    assert batch.example_ids == ("a", "b")
    assert batch.segments is None
    with pytest.raises(ValueError, match="1 examples with 0 weights"):
        pad([made("a", 1)], [])


def test_pack_by_hand() -> None:
    rows = pack([made("a", 1, 2), made("b", 3, 4), made("c", 5, 6)], 5)
    batch = pack_batch(rows)
    assert batch.ids.tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]
    assert batch.segments is not None
    assert batch.segments.tolist() == [[1, 1, 2, 2], [1, 1, 0, 0]]
    assert batch.loss_mask.tolist() == [[False, True, False, True], [False, True, False, False]]
    assert batch.example_ids == ("a+b", "c")
    assert batch.weights.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="a row takes 1"):
        pack([made("a", 1, 2)], 1)


@given(st.lists(st.integers(1, 10), max_size=30), st.integers(10, 25))
def test_packing_keeps_every_token_in_order(sizes: list[int], row_tokens: int) -> None:
    texts = [made(str(i), *range(1, n + 1)) for i, n in enumerate(sizes)]
    rows = pack(texts, row_tokens)
    assert [t.id for row in rows for t in row] == [t.id for t in texts]
    assert all(sum(len(t.ids) for t in row) <= row_tokens for row in rows)
    for row, following in itertools.pairwise(rows):
        assert sum(len(t.ids) for t in row) + len(following[0].ids) > row_tokens
    if rows:
        batch = pack_batch(rows)
        assert batch.segments is not None
        assert batch.ids[batch.segments > 0].tolist() == [i for n in sizes for i in range(1, n + 1)]
        assert int(batch.loss_mask.sum()) == sum(n - 1 for n in sizes)
