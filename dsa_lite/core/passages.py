"""Passages of the user's documents: documents cut into them, and those chosen that suit a skill (Okapi BM25)."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dsa_lite.records import Passage, Skill

_K1, _B = 1.2, 0.75  # the usual BM25: how soon repetition saturates, how much length counts
_NEAR = 0.5  # a passage suits where it scores at least this share of the best
_STEM = 6  # letters of a word that count: "order" is "ordering", in any language with endings
_HEADING_CHARS = 120
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[^\W_]+")  # scripts without blanks: sign by sign
_EMPTY_WORDS = frozenset(
    (
        "a", "about", "an", "and", "are", "as", "asked", "at", "be", "by", "can", "do", "does", "for", "from", "has",
        "have", "how", "if", "in", "into", "is", "it", "its", "not", "of", "on", "one", "or", "that", "the", "their",
        "them", "they", "this", "to", "what", "when", "where", "which", "why", "with",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A paragraph or page of a document. `first`, `last`: its lines or its page, from 1; not used where unit is ""."""

    text: str
    heading: str = ""
    unit: Literal["line", "page", ""] = ""
    first: int = 0
    last: int = 0


def cut(file: str, blocks: Iterable[Block], most: int) -> list[Passage]:
    """Passages of at most `most` characters each, none across a heading or a page, each with a source of its own.

    `file`: what the sources begin with.
    """
    groups: list[list[Block]] = []
    for piece in (piece for block in blocks for piece in _pieces(block, most)):
        fits = groups and sum(len(b.text) + 2 for b in groups[-1]) + len(piece.text) <= most
        if fits and _section(piece) == _section(groups[-1][0]):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    sources = [_source(file, group) for group in groups]
    total, seen = Counter(sources), Counter[str]()
    passages = []
    for source, group in zip(sources, groups, strict=True):
        seen[source] += 1
        part = f", part {seen[source]}" if total[source] > 1 else ""
        text = "\n\n".join(b.text for b in group)
        passages.append(Passage(source=source + part, heading=group[0].heading[:_HEADING_CHARS], text=text))
    return passages


def _section(block: Block) -> tuple[str, int]:
    return block.heading, block.first if block.unit == "page" else 0


def _source(file: str, blocks: Sequence[Block]) -> str:
    first, last = blocks[0], blocks[-1]
    lines = f"line {first.first}" if first.first == last.last else f"lines {first.first}-{last.last}"
    place = {"page": f", page {first.first}", "line": f", {lines}", "": ""}[first.unit]
    heading = f" ({first.heading[:_HEADING_CHARS]})" if first.heading else ""
    return f"{file}{place}{heading}"


def _pieces(block: Block, most: int) -> Iterator[Block]:
    """The block, or parts of it that are short enough: whole lines where they fit, else whole words."""
    if len(block.text) <= most:
        if block.text.strip():
            yield block
        return
    held: list[tuple[int, str]] = []
    for number, line in enumerate(block.text.split("\n")):
        for part in _fitting(line, most):
            if held and sum(len(text) + 1 for _, text in held) + len(part) > most:
                yield _part(block, held)
                held = []
            held.append((number, part))
    if held:
        yield _part(block, held)


def _part(block: Block, lines: Sequence[tuple[int, str]]) -> Block:
    text = "\n".join(line for _, line in lines)
    if block.unit != "line":
        return Block(text, block.heading, block.unit, block.first, block.last)
    return Block(text, block.heading, block.unit, block.first + lines[0][0], block.first + lines[-1][0])


def _fitting(line: str, most: int) -> Iterator[str]:
    while len(line) > most:
        end = line.rfind(" ", most // 2, most) + 1 or most
        yield line[:end].rstrip()
        line = line[end:]
    if line.strip():
        yield line


def terms(text: str) -> list[str]:
    """The words that say what a text is about, in small letters and without most endings."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return [_stem(word) for word in words if word not in _EMPTY_WORDS]


def _stem(word: str) -> str:
    return (word[:-1] if word.endswith("s") and len(word) > 3 else word)[:_STEM]


class Library:
    """Passages that can be looked up by the skill that is to be taught."""

    def __init__(self, passages: Sequence[Passage], chars: int) -> None:
        """`chars`: most characters of the passages that are chosen together."""
        self._passages, self._chars = passages, chars
        self._by_source = {p.source: p for p in passages}
        self._postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._lengths: list[int] = []
        for number, passage in enumerate(passages):
            found = Counter(terms(f"{passage.source} {passage.text}"))
            self._lengths.append(found.total())
            for term, count in found.items():
                self._postings[term].append((number, count))
        self._groups: dict[tuple[str, ...], list[tuple[Passage, ...]]] = {}

    def choose(self, skills: Sequence[Skill], number: int) -> tuple[Passage, ...]:
        """What the `number`-th item (from 0) on these skills is written from, in the documents' order.

        Where more suits than one request holds, the items take turns; empty where no passage suits.
        """
        key = tuple(s.id for s in skills)
        if key not in self._groups:
            self._groups[key] = self._grouped(self._suiting(skills))
        groups = self._groups[key]
        return groups[number % len(groups)] if groups else ()

    def named(self, sources: Iterable[str]) -> tuple[Passage, ...]:
        """The passages of these sources, without those that are no longer there."""
        return tuple(self._by_source[s] for s in sources if s in self._by_source)

    def _suiting(self, skills: Sequence[Skill]) -> list[int]:
        """Numbers of the passages, best first. A skill's name weighs twice what its description does."""
        scores: defaultdict[int, float] = defaultdict(float)
        wanted = Counter(term for s in skills for term in terms(f"{s.name} {s.name} {s.description}"))
        mean = sum(self._lengths) / max(len(self._lengths), 1)
        for term, weight in wanted.items():
            found = self._postings.get(term, [])
            rarity = math.log(1 + (len(self._passages) - len(found) + 0.5) / (len(found) + 0.5))
            for number, count in found:
                length = 1 - _B + _B * self._lengths[number] / mean
                scores[number] += weight * rarity * count * (_K1 + 1) / (count + _K1 * length)
        least = _NEAR * max(scores.values(), default=0.0)
        return sorted((n for n, score in scores.items() if score >= least), key=lambda n: (-scores[n], n))

    def _grouped(self, numbers: Sequence[int]) -> list[tuple[Passage, ...]]:
        """Best first, as many together as one request holds, at least one."""
        groups: list[list[int]] = []
        room = 0
        for number in numbers:
            length = len(self._passages[number].text)
            if not groups or length > room:
                groups.append([])
                room = self._chars
            groups[-1].append(number)
            room -= length
        return [tuple(self._passages[n] for n in sorted(group)) for group in groups]


def outline(passages: Sequence[Passage], most: int) -> list[str]:
    """What the documents are about, in at most `most` characters: one line per section, evenly spread over them."""
    lines = list(dict.fromkeys(p.heading or " ".join(p.text.split())[:_HEADING_CHARS] for p in passages))
    while sum(len(line) + 1 for line in lines) > most and len(lines) > 1:
        lines = lines[::2]
    return [line[:most] for line in lines]
