"""A byte-level BPE tokenizer that llama.cpp reproduces exactly under `tokenizer.ggml.pre = "qwen2"`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END, USER, ASSISTANT, TEXT = "<|end|>", "<|user|>", "<|assistant|>", "<|text|>"
SPECIAL_TOKENS = (END, USER, ASSISTANT, TEXT)

# Qwen2's split, which llama.cpp implements by hand: one digit at a time, words with their leading space.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The models never saw a system message, so the template leaves it out rather than showing them the unknown.
CHAT_TEMPLATE = (
    "{# leaves the system message out #}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{- '<|user|>' + message['content'] -}}"
    "{%- elif message['role'] == 'assistant' -%}{{- '<|assistant|>' + message['content'] + '<|end|>' -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def build(texts: Iterable[str], size: int = 1024) -> Tokenizer:
    """Learn a vocabulary of exactly `size` entries: 4 special tokens, 256 bytes, and merges from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the texts give {tokenizer.get_vocab_size()} tokens, not {size}: hand in more varied texts")
    return tokenizer


def save(tokenizer: Tokenizer, folder: str | Path, context: int = 1024) -> None:
    """Write a folder that `AutoTokenizer.from_pretrained` loads; `context` is in tokens."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END,
        "pad_token": END,
        "additional_special_tokens": [USER, ASSISTANT, TEXT],
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": CHAT_TEMPLATE,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load(folder: str | Path) -> Tokenizer:
    """Read the tokenizer of a folder written by `save`."""
    return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))


def main() -> None:
    """Command line: learn a tokenizer from generated documents."""
    # `stream` needs this module's names, so it is only asked for once they exist.
    from .stream import load_documents

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", required=True, help="package.module:function, called with the seed")
    parser.add_argument("--count", type=int, default=20000, help="documents to learn from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    documents = islice(load_documents(options.documents, options.seed), options.count)
    save(build((text for document in documents for text, _ in document), options.size), options.out)


if __name__ == "__main__":
    main()
