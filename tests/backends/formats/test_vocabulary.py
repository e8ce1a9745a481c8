"""Tokenizers as GGUF: the same tokens in llama.cpp, and a refusal where that cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import ModelError

pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")
pytest.importorskip("torch")

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = ["We'll see 12345 and 6789 of HTTPServer", "the derivative  of x^2 is 2x", "naïve 中文 ✓\n\n y'' = -3"]


def split(regex: str) -> list[dict[str, Any]]:
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return [{"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}, plain]


STAGES: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "gpt-2": ([{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}], False),
    "qwen2": (split(LLAMA3.replace("{1,3}", "")), False),
    "llama-bpe": (split(LLAMA3), True),
    "smaug-bpe": (split(LLAMA3), False),
    "tekken": (split(TEKKEN), True),
    "smollm": (
        [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ],
        False,
    ),
}


def with_stages(base: Path, folder: Path, stages: list[dict[str, Any]], whole: bool) -> Path:
    """The base with a byte-level tokenizer that splits in this way, trained on TEXTS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    shutil.copytree(base, folder)
    parsed = json.loads(Tokenizer(models.BPE()).to_str())
    parsed["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": stages} if len(stages) > 1 else stages[0]
    parsed["model"]["ignore_merges"] = whole
    tokenizer = Tokenizer.from_str(json.dumps(parsed))
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("name", sorted(STAGES))
def test_each_way_of_splitting_is_named_and_gives_the_same_tokens(
    name: str, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    import gguf

    from dsa_lite_formats.answering import prove_tokens
    from dsa_lite_formats.gguf_files import write_gguf

    folder = with_stages(model_of("llama"), tmp_path / "model", *STAGES[name])
    write_gguf(folder, None, tmp_path / "model.gguf", "F32", "tiny")
    prove_tokens(tmp_path / "model.gguf", folder)
    field = gguf.GGUFReader(tmp_path / "model.gguf").fields["tokenizer.ggml.pre"]
    assert field.contents() == name


def test_tokens_that_differ_in_llama_cpp_are_found(model_of: Callable[[str], Path], tmp_path: Path) -> None:
    from dsa_lite_formats.answering import prove_tokens
    from dsa_lite_formats.gguf_files import write_gguf

    one = with_stages(model_of("llama"), tmp_path / "one", *STAGES["gpt-2"])
    other = with_stages(model_of("llama"), tmp_path / "other", *STAGES["qwen2"])
    write_gguf(one, None, tmp_path / "one.gguf", "F32", "tiny")
    with pytest.raises(ModelError, match="splits text otherwise"):
        prove_tokens(tmp_path / "one.gguf", other)


@pytest.mark.parametrize(
    ("stages", "whole"),
    [
        (split(r"\p{L}+|\p{N}|."), False),
        ([{"type": "Whitespace"}], False),
        ([{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}], False),
    ],
)
def test_an_unknown_way_of_splitting_is_refused(
    stages: list[dict[str, Any]], whole: bool, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    from dsa_lite_formats.gguf_files import write_gguf

    folder = with_stages(model_of("llama"), tmp_path / "model", stages, whole)
    with pytest.raises(ModelError, match="splits text in a way"):
        write_gguf(folder, None, tmp_path / "model.gguf", "F32", "tiny")


def test_sentencepiece_pieces_give_the_same_tokens(model_of: Callable[[str], Path], tmp_path: Path) -> None:
    from dsa_lite_formats.answering import prove_tokens
    from dsa_lite_formats.gguf_files import write_gguf

    folder = with_pieces(model_of("llama"), tmp_path / "model")
    write_gguf(folder, None, tmp_path / "model.gguf", "F32", "tiny")
    prove_tokens(tmp_path / "model.gguf", folder)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.model"):
        write_gguf(folder, None, tmp_path / "again.gguf", "F32", "tiny")


def with_pieces(base: Path, folder: Path) -> Path:
    """The base with a SentencePiece tokenizer of Llama 2's kind: byte fallback, no blank put before a text."""
    sentencepiece = pytest.importorskip("sentencepiece")
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    shutil.copytree(base, folder)
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXTS * 3), model_prefix=str(folder / "tokenizer"), vocab_size=380, model_type="bpe",
        byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False, normalization_rule_name="identity",
        control_symbols=["<|user|>", "<|assistant|>", "<|end|>"], minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    (folder / "tokenizer.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor()
    pieces.LoadFromFile(str(folder / "tokenizer.model"))
    vocabulary = {pieces.IdToPiece(i): i for i in range(pieces.vocab_size())}
    pairs = []
    for piece, number in vocabulary.items():
        pairs += [
            (number, piece[:at], piece[at:])
            for at in range(1, len(piece))
            if not piece.startswith("<") and piece[:at] in vocabulary and piece[at:] in vocabulary
        ]
    merges = [(left, right) for _, left, right in sorted(pairs)]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ("<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>")
    tokenizer.add_special_tokens([AddedToken(text) for text in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
