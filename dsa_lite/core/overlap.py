"""Near-duplicate problems: the same question in other words, where other numbers make another problem."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass

from dsa_lite.core.grading import FUNCTIONS

_INFORMATIVE = 3  # tokens of a signature from which it says what the problem is about
_SHORT = 25  # words up to which a problem is hardly more than its expressions

_OPERATIONS = {
    name: group[0]
    for group in (
        ("derivative", "derivatives", "differentiate", "derive", "differentiation"),
        ("integral", "integrals", "integrate", "antiderivative", "antiderivatives", "integration"),
        ("expand", "multiply", "product"),
        ("factor", "factors", "factorise", "factorize"),
        ("simplify", "collect"),
        ("solve", "solution", "solutions", "root", "roots", "zeros"),
        ("limit", "limits"),
        ("tangent",),
        ("slope", "gradient"),
        ("add", "sum"),
        ("subtract", "difference"),
        ("divide", "quotient"),
        ("maximum", "max", "largest", "greatest"),
        ("minimum", "min", "smallest", "least"),
    )
    for name in group
}
_EMPTY_WORDS = frozenset(
    (
        "a", "an", "and", "answer", "are", "at", "be", "by", "calculate", "compute", "determine", "down", "equation",
        "evaluate", "exercise", "expression", "find", "following", "for", "function", "give", "given", "i", "if", "in",
        "is", "it", "its", "let", "number", "of", "on", "or", "out", "please", "problem", "question", "respect",
        "respectively", "result", "show", "that", "the", "this", "to", "use", "using", "value", "we", "what", "when",
        "where", "which", "with", "work", "write", "you", "your",
    )
)  # fmt: skip
_SIGNS = str.maketrans("−–·×⋅÷⁄$", "--***// ")


def _plain(text: str) -> str:
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m[0], text)
    text = unicodedata.normalize("NFKC", text).casefold().replace("**", "^")
    return text.translate(_SIGNS).replace("\\cdot", "*").replace("\\", "")


def plain_text(text: str) -> str:
    """A text in one spelling: case, runs of blanks, Unicode forms and end marks make no other text of it."""
    return re.sub(r"\s+", " ", _plain(text)).strip(" .?!")


def _pieces(text: str) -> tuple[list[str], list[str]]:
    """(expressions, words). Pieces between blanks are one or the other; expressions split by blanks only are joined."""
    expressions: list[str] = []
    found: list[str] = []
    joined = False  # the last piece was part of an expression
    for piece in _plain(text).split():
        core = piece.strip(",;:?!\"'").rstrip(".")
        if not core:
            joined = False
            continue
        if not _is_expression(core, joined):
            found += re.findall(r"[^\W\d_]+", core)
            joined = False
            continue
        operator = core[0] in "+-*/^=<>)" or (expressions and expressions[-1][-1] in "+-*/^=<>(")
        if joined and operator:
            expressions[-1] += core
        else:
            expressions.append(core)
        joined = piece[-1] not in ",;:?!."
    return [
        e for e in expressions if not re.fullmatch(r"[b-z]'*", e)
    ], found  # "with respect to x" names no other problem


def _is_expression(piece: str, joined: bool) -> bool:
    if any(c.isdigit() for c in piece) or any(c in "^=+*<>" for c in piece):
        return True
    if re.fullmatch(r"[-/()]+", piece):
        return joined
    if re.fullmatch(r"[b-z]'*", piece) and piece != "i":
        return True
    letters = re.findall(r"[^\W\d_]+", piece)
    return "(" in piece and any(run.endswith(FUNCTIONS) or len(run) == 1 for run in letters)


def signature(text: str) -> str:
    """The numbers and expressions of a text in order, blanks inside them removed."""
    return " ".join(_pieces(text)[0])


def words(text: str) -> frozenset[str]:
    """The words of a text, in small letters, without its expressions."""
    return frozenset(_pieces(text)[1])


@dataclass(frozen=True)
class Problem:
    """What is compared of one text."""

    plain: str
    signature: str
    words: frozenset[str]
    trigrams: frozenset[tuple[str, ...]]
    operations: frozenset[str]
    gist: frozenset[str] | None  # words that carry meaning; None: the signature alone says too little

    @classmethod
    def of(cls, text: str) -> Problem:
        expressions, found = _pieces(text)
        joined = " ".join(expressions)
        canonical = [_OPERATIONS.get(word, word) for word in found]
        tokens = len(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+|\S", joined))
        short = len(found) <= _SHORT and tokens >= _INFORMATIVE
        return cls(
            plain=plain_text(text),
            signature=joined,
            words=frozenset(found),
            trigrams=frozenset(tuple(found[i : i + 3]) for i in range(max(1, len(found) - 2))),
            operations=frozenset(_OPERATIONS[word] for word in found if word in _OPERATIONS),
            gist=frozenset(canonical) - _EMPTY_WORDS if short else None,
        )


def same_problem(a: Problem, b: Problem, threshold: float) -> bool:
    """The rule itself, for one pair.

    Equal text; or the same numbers and expressions, no other operation asked for, and alike words. Texts without any
    numbers need alike word order too.
    """
    if a.plain == b.plain:
        return True
    if a.signature != b.signature or (a.operations != b.operations and a.operations and b.operations):
        return False
    if a.signature and a.gist is not None and a.gist == b.gist:
        return True
    if jaccard(a.words, b.words) < threshold:
        return False
    return bool(a.signature) or jaccard(a.trigrams, b.trigrams) >= threshold / 2


def jaccard(a: frozenset[object], b: frozenset[object]) -> float:
    """Shared share of two sets; two empty sets are alike."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


class OverlapIndex:
    """Problems seen so far; `find` says which of them a text repeats."""

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold is a share in (0, 1], got {threshold}")
        self.threshold = threshold
        self._ids: list[str] = []
        self._problems: list[Problem] = []
        self._by_text: dict[str, int] = {}
        self._by_gist: defaultdict[tuple[str, frozenset[str]], list[int]] = defaultdict(list)
        self._by_word: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._wordless: defaultdict[str, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, text: str) -> None:
        problem = Problem.of(text)
        place = len(self._ids)
        self._ids.append(id)
        self._problems.append(problem)
        self._by_text.setdefault(problem.plain, place)
        if problem.gist is not None:
            self._by_gist[problem.signature, problem.gist].append(place)
        for word in problem.words:
            self._by_word[problem.signature, word].append(place)
        if not problem.words:
            self._wordless[problem.signature].append(place)

    def find(self, text: str) -> str | None:
        """The id of the first item added that is the same problem, or None."""
        problem = Problem.of(text)
        best = self._by_text.get(problem.plain, len(self._ids))
        least, most = self.threshold * len(problem.words), len(problem.words) / self.threshold
        for place in sorted(set().union(*self._candidates(problem))):
            if place >= best:
                break
            other = self._problems[place]
            if (least <= len(other.words) <= most or problem.gist is not None) and same_problem(
                problem, other, self.threshold
            ):
                best = place
        return self._ids[best] if best < len(self._ids) else None

    def _candidates(self, problem: Problem) -> list[list[int]]:
        """Lists of places, each in order, that together hold every match but those of equal text."""
        lists = [self._by_gist.get((problem.signature, problem.gist), [])] if problem.gist is not None else []
        if not problem.words:
            return [*lists, self._wordless.get(problem.signature, [])]
        postings = [self._by_word.get((problem.signature, word), []) for word in problem.words]
        # a match shares at least threshold * n of the n words, so one of any (n - that + 1) of them: take the rarest
        needed = math.ceil(self.threshold * len(postings) - 1e-9)
        return lists + sorted(postings, key=len)[: len(postings) - needed + 1]
