"""A tokenizer folder as GGUF metadata: tokens, merges, special tokens, the way text is split, the chat template."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf

from dsa_lite.chat import PLAIN_TEMPLATE, end_token, render
from dsa_lite.errors import MissingExtra, ModelError
from dsa_lite.model_files import read_json
from dsa_lite.model_folder import FolderTokenizer
from dsa_lite.records import Message

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"
#: The expression a tokenizer splits text with, and whether it looks up whole words first -> llama.cpp's name for that.
_SPLITS = {
    (_CONTRACTIONS + r"\p{N}" + _REST, False): "qwen2",
    (_CONTRACTIONS + r"\p{N}{1,3}" + _REST, True): "llama-bpe",
    (_CONTRACTIONS + r"\p{N}{1,3}" + _REST, False): "smaug-bpe",
    (
        f"{_START}{_UPPER}*{_LOWER}+|{_START}{_UPPER}+{_LOWER}*"
        r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        True,
    ): "tekken",
}
_HINT = "GGUF needs a tokenizer whose way of splitting text llama.cpp has; try --to merged"


def add_vocabulary(writer: gguf.GGUFWriter, folder: Path, size: int) -> None:
    """Write all of the tokenizer, padded to `size` tokens (the rows of the embedding).

    Raises ModelError for a tokenizer that llama.cpp could not be told exactly, MissingExtra without sentencepiece.
    """
    tokenizer = FolderTokenizer(folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = (folder / "tokenizer.model").is_file()
    (_add_pieces if pieces else _add_bpe)(writer, folder, content, size)
    special = gguf.SpecialVocab(folder, load_merges=not pieces, n_vocab=size)
    special.chat_template = tokenizer.chat_template or PLAIN_TEMPLATE
    special.special_token_ids["eos"] = tokenizer.eos_id
    special.special_token_ids["eot"] = end_token(tokenizer)
    # As trained: the template writes the first token or nobody does.
    special.add_special_token = {"bos": _begins_with_bos(tokenizer), "eos": False}
    special.add_to_gguf(writer, quiet=True)


def _begins_with_bos(tokenizer: FolderTokenizer) -> bool:
    bos = tokenizer.special_tokens.get("bos_token")
    chat = [Message(role="user", content="?")]
    template = tokenizer.chat_template or PLAIN_TEMPLATE
    text = render(template, chat, special_tokens=tokenizer.special_tokens, add_generation_prompt=True)
    return bool(bos) and text.startswith(str(bos))


def _add_bpe(writer: gguf.GGUFWriter, folder: Path, content: dict[str, Any], size: int) -> None:
    """Byte-level BPE."""
    splitter = _splitter(folder, content)
    known = [token for token in content.get("added_tokens", []) if token["id"] < size or not token["special"]]
    added = {token["id"]: token for token in known}
    names = {number: text for text, number in content["model"]["vocab"].items()}
    names |= {number: token["content"] for number, token in added.items()}
    if max(names, default=-1) >= size:
        raise ModelError(f"{folder}: the tokenizer has {max(names) + 1} tokens, the model only {size}")
    tokens, kinds = [], []
    for number in range(size):
        text = names.get(number, f"[PAD{number}]")
        kind = gguf.TokenType.NORMAL if number in names else gguf.TokenType.UNUSED
        if number in added:
            kind = _kind_of_added(added[number])
        tokens.append(text)
        kinds.append(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splitter)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)


def _kind_of_added(token: dict[str, Any]) -> gguf.TokenType:
    special = token["special"] or _looks_special(token["content"])
    return gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED


def _looks_special(text: str) -> bool:
    """Some models do not mark as special what llama.cpp must treat so."""
    brackets = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
    return text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]") or any(
        text.startswith(left) and text.endswith(right) for left, right in brackets
    )


def _splitter(folder: Path, content: dict[str, Any]) -> str:
    """llama.cpp's name of the way this tokenizer splits text. Raises ModelError when it has none."""
    model = content.get("model", {})
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        kind = "SentencePiece" if model.get("byte_fallback") else str(model.get("type"))
        missing = ", and the folder has no tokenizer.model" if model.get("byte_fallback") else ""
        raise ModelError(f"{folder}: the tokenizer is of type {kind}{missing}", hint=_HINT)
    stages = content.get("pre_tokenizer") or {}
    stages = stages.get("pretokenizers", [stages])
    normalizer = (content.get("normalizer") or {}).get("type")
    kinds = [stage.get("type") for stage in stages]
    whole = bool(model.get("ignore_merges"))
    found: str | None = None
    if kinds and kinds[-1] == "ByteLevel" and not stages[-1].get("add_prefix_space") and normalizer in (None, "NFC"):
        regex = stages[-1].get("use_regex", True)
        if kinds == ["ByteLevel"] and regex and not whole:
            found = "gpt-2"
        elif kinds == ["Digits", "ByteLevel"] and regex and stages[0].get("individual_digits") and not whole:
            found = "smollm"
        elif kinds == ["Split", "ByteLevel"] and not regex and stages[0].get("behavior") == "Isolated":
            found = _SPLITS.get((stages[0]["pattern"].get("Regex", ""), whole))
    if found is None:
        raise ModelError(
            f"{folder}: the tokenizer splits text in a way that llama.cpp is not known to have", hint=_HINT
        )
    return found


def _add_pieces(writer: gguf.GGUFWriter, folder: Path, content: dict[str, Any], size: int) -> None:
    """SentencePiece: pieces, scores and kinds from tokenizer.model, then the tokens added since."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise MissingExtra(
            f"{folder / 'tokenizer.model'} is read with sentencepiece, which is not installed",
            hint='pip install "dsa-lite[export]"',
        ) from error
    processor = SentencePieceProcessor()
    processor.LoadFromFile(str(folder / "tokenizer.model"))
    tokens = [f"[PAD{number}]" for number in range(size)]
    scores, kinds = [-10000.0] * size, [gguf.TokenType.UNUSED] * size
    tests: list[tuple[Callable[[int], bool], gguf.TokenType]] = [
        (processor.IsUnknown, gguf.TokenType.UNKNOWN),
        (processor.IsControl, gguf.TokenType.CONTROL),
        (processor.IsUnused, gguf.TokenType.UNUSED),
        (processor.IsByte, gguf.TokenType.BYTE),
    ]
    for number in range(min(size, processor.vocab_size())):
        tokens[number], scores[number] = processor.IdToPiece(number), processor.GetScore(number)
        kinds[number] = next((kind for test, kind in tests if test(number)), gguf.TokenType.NORMAL)
    for token in content.get("added_tokens", []):
        number, text = token["id"], token["content"]
        if number < size and kinds[number] not in (gguf.TokenType.UNKNOWN, gguf.TokenType.BYTE):
            kinds[number], scores[number] = _kind_of_added(token), -1000.0
            tokens[number] = text if kinds[number] == gguf.TokenType.CONTROL else text.replace("▁", " ")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(_prefixes(folder, content))


def _prefixes(folder: Path, content: dict[str, Any]) -> bool:
    """Whether a blank is put before a text."""
    stated = read_json(folder / "tokenizer_config.json").get("add_prefix_space")
    if isinstance(stated, bool):
        return stated
    text = json.dumps([content.get("normalizer"), content.get("pre_tokenizer")])
    return '"Prepend"' in text or '"prepend_scheme": "always"' in text or '"prepend_scheme": "first"' in text
