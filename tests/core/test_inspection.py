"""What would be learnt of an example: targets, drops, checks, lengths."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from dsa_lite.config import Config
from dsa_lite.core.encoding import Encoded
from dsa_lite.core.inspection import Example, Reader, spans, summary
from dsa_lite.records import TOO_LONG

CHAT = (
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
THINKING = CHAT.replace("'<assistant>'", "'<assistant><think></think>'")  # not there in a finished chat


class Words:
    """A token per tag and per letter; like many decoders, `spell` drops the blank a text starts with."""

    tags = ("<user>", "<assistant>", "<end>", "<bos>")
    eos_id = 2

    def __init__(self, template: str | None = CHAT, bos: bool = False) -> None:
        self.chat_template = template
        self.special_tokens = {"eos_token": "<end>"} | ({"bos_token": "<bos>"} if bos else {})
        self.pieces = list(self.tags)

    def encode(self, text: str) -> list[int]:
        found = re.findall("|".join(self.tags) + r"|[\s\S]", text)
        self.pieces += sorted(set(found) - set(self.pieces))
        return [self.pieces.index(piece) for piece in found]

    def decode(self, ids: Sequence[int]) -> str:
        return self.spell([id for id in ids if id >= len(self.tags)])

    def spell(self, ids: Sequence[int]) -> str:
        return "".join(self.pieces[id] for id in ids).removeprefix(" ")


def reader(tokenizer: Words, longest: int = 100) -> Reader:
    return Reader(tokenizer, row_tokens=longest, max_tokens=longest)


def example(length: int, targets: int, *, dropped: str = "", ended: bool = True) -> Example:
    mask = np.arange(length) >= length - targets
    return Example("exercise", Encoded("e", np.zeros(length, np.int32), mask), dropped, 1.0, ended)


def test_the_limits_are_those_of_the_settings_and_of_the_model() -> None:
    config = Config.model_validate({"student": {"max_tokens": 50}, "pretrain": {"row_tokens": 70}})
    short = Reader.of(Words(), config, 60)
    assert (short.row_tokens, short.max_tokens) == (60, 50)
    tiny = Reader.of(Words(), config, 40)
    assert (tiny.row_tokens, tiny.max_tokens) == (40, 40)
    found = Reader.of(Words(), config, 1 << 30)
    assert (found.row_tokens, found.max_tokens) == (70, 50)


def test_what_is_too_long_by_one_token_is_dropped() -> None:
    tokenizer = Words()
    chat = reader(tokenizer).chat("exercise", "e", "1+1?", "2")
    assert chat.tokens == 9  # <user> 1 + 1 ? <end> <assistant> 2 <end>
    for longest, dropped in ((chat.tokens, ""), (chat.tokens - 1, TOO_LONG)):
        found = reader(tokenizer, longest).chat("exercise", "e", "1+1?", "2")
        assert (found.dropped, found.trained) == (dropped, 0 if dropped else 2)
    passage = reader(tokenizer).passage("t", "abc")
    for longest, dropped in ((passage.tokens, ""), (passage.tokens - 1, TOO_LONG)):
        assert reader(tokenizer, longest).passage("t", "abc").dropped == dropped


def test_a_reason_of_ones_own_wins() -> None:
    found = reader(Words(), 1).chat("rehearsal", "m", "1+1?", "2", weight=0.0, dropped="not wanted")
    assert (found.dropped, found.trained, found.weight) == ("not wanted", 0, 0.0)


@pytest.mark.parametrize("template", [None, CHAT, THINKING])
def test_every_chat_ends_with_its_end_token_and_begins_with_its_prompt(template: str | None) -> None:
    found = reader(Words(template)).chat("exercise", "e", "1+1?", " 2\n")
    assert found.ended
    assert found.asked
    assert found.templated == (template is not THINKING)


def test_an_empty_text_has_nothing_to_learn_unless_something_stands_before_its_end() -> None:
    without, begun = reader(Words()).passage("t", ""), reader(Words(bos=True)).passage("t", "")
    assert (without.trained, without.ended, begun.trained, begun.ended) == (0, False, 1, True)
    counted = summary([without, begun])
    assert (counted.examples, counted.trained, counted.empty, counted.dropped) == (2, 1, 1, {})


def test_an_empty_target_is_refused_as_in_training() -> None:
    with pytest.raises(ValueError, match="'m' has an empty target"):
        reader(Words()).chat("rehearsal", "m", "1+1?", " ")


def test_counts_are_of_what_is_trained_and_lengths_of_everything() -> None:
    kept = [example(10 * n, n) for n in range(1, 10)]
    found = summary([*kept, example(500, 400, dropped=TOO_LONG), example(40, 0)])
    assert (found.examples, found.trained, found.empty) == (11, 9, 1)
    assert found.dropped == {TOO_LONG: 1}
    assert (found.tokens, found.trained_tokens, found.share) == (450, 45, 0.1)
    assert found.lengths == {50: 50, 90: 90, 99: 500, 100: 500}
    assert found.ended == 9
    assert summary([example(5, 2, ended=False)]).ended == 0


def test_nothing_has_no_lengths_and_no_share() -> None:
    found = summary([])
    assert (found.examples, found.share, set(found.lengths.values())) == (0, 0.0, {0})


def test_the_pieces_are_the_text_with_what_is_learnt() -> None:
    tokenizer = Words()
    chat = reader(tokenizer).chat("exercise", "e", "1 + 1?", "2 \u2713")
    assert spans(chat.encoded, tokenizer.spell) == [("<user>1 + 1?<end><assistant>", False), ("2 \u2713<end>", True)]


def test_a_blank_at_a_border_is_not_lost() -> None:
    tokenizer = Words()
    ids = np.array(tokenizer.encode("a b c"), dtype=np.int32)
    mask = np.array([False, True, True, False, True])
    assert spans(Encoded("e", ids, mask), tokenizer.spell) == [
        ("a", False), (" b", True), (" ", False), ("c", True),
    ]  # fmt: skip


def test_a_letter_of_several_tokens_across_a_border_is_shown_all_the_same() -> None:
    """A decoder gives something else for the half of a letter than for the whole of it."""
    letter = "é".encode()

    def spell(ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    encoded = Encoded("e", np.frombuffer(letter + b"x", np.uint8).astype(np.int32), np.array([False, True, True]))
    assert spans(encoded, spell) == [("\ufffd", False), ("\ufffdx", True)]
