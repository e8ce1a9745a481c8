"""Text, Markdown, HTML and PDF files as blocks of plain text that know their place."""

from __future__ import annotations

import codecs
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dsa_lite.core.passages import Block
from dsa_lite.errors import MissingExtra

_MISSING = 'pip install "dsa-lite[docs]"'
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_BOMS = (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NO_TEXT = ("script", "style", "noscript", "template", "nav", "aside", "footer", "form", "iframe", "svg", "button",
            "head", "select", "dialog")  # fmt: skip
_INLINE = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "label",
     "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "math")
)  # fmt: skip


class Unreadable(Exception):
    """Why a file cannot be used, in words for its owner."""


def reader_of(path: Path) -> Callable[[Path], list[Block]] | None:
    """What reads a file of this kind; None: nothing does. A reader raises Unreadable, OSError or MissingExtra."""
    return _READERS.get(path.suffix.casefold())


def _text(path: Path) -> list[Block]:
    return list(_paragraphs(_decoded(path).split("\n")))


def _paragraphs(lines: list[str], heading: str = "", first: int = 1) -> Iterator[Block]:
    """Runs of lines between blank ones; a fenced piece of code is never divided."""
    start, fence = 0, ""
    for number, line in enumerate([*lines, ""]):
        fence = _fenced(fence, line)
        if line.strip() or (fence and number < len(lines)):
            continue
        if text := "\n".join(lines[start:number]).strip("\n"):
            begin = next(i for i in range(start, number) if lines[i].strip())
            yield Block(text, heading, "line", first + begin, first + number - 1)
        start = number + 1


def _fenced(fence: str, line: str) -> str:
    """The mark of the piece of code that is open after this line; "" where none is."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    return found[1] if not fence else "" if found[1] == fence else fence


def _markdown(path: Path) -> list[Block]:
    blocks: list[Block] = []
    lines, trail = _decoded(path).split("\n"), [""] * 6
    start, fence = 0, ""
    for number, line in enumerate([*lines, "# "]):
        fence = _fenced(fence, line)
        found = _ATX.match(line)
        if number < len(lines) and (fence or found is None):
            continue
        heading = " > ".join(part for part in trail if part)
        blocks += _paragraphs(lines[start:number], heading, start + 1)
        start = number + 1
        if found is not None:
            level = len(found[1])
            trail[level - 1 :] = [" ".join(found[2].split()), *[""] * (6 - level)]
    return blocks


def _decoded(path: Path) -> str:
    """The text of a file, without control characters. Raises Unreadable."""
    raw = path.read_bytes()
    encoding = next((name for bom, name in _BOMS if raw.startswith(bom)), "utf-8")
    if encoding != "utf-16" and b"\0" in raw:
        raise Unreadable("is no text: it holds zero bytes")
    try:
        return _clean(raw.decode(encoding))
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 (byte {error.start + 1:,}): save it as UTF-8") from None


def _clean(text: str) -> str:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00ad", ""))
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _html(path: Path) -> list[Block]:
    try:
        from bs4 import BeautifulSoup
    except ModuleNotFoundError as error:
        raise MissingExtra(f"reading {path.name} needs Beautiful Soup", hint=_MISSING) from error
    raw = path.read_bytes()
    if b"\0" in raw and not raw.startswith(_BOMS[1][0]) and not raw.startswith(_BOMS[2][0]):
        raise Unreadable("is no text: it holds zero bytes")
    soup = BeautifulSoup(raw, "html.parser")
    if soup.contains_replacement_characters:
        raise Unreadable("is in an unknown encoding: save it as UTF-8")
    for element in soup(list(_NO_TEXT)):
        element.decompose()
    found = _Page()
    found.walk(soup.find("main") or soup.find("article") or soup.body or soup)
    found.flush()
    return found.blocks


class _Page:
    """Collects the blocks of a page in reading order."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._heading = ""
        self._text: list[str] = []

    def walk(self, element: Any) -> None:
        from bs4.element import NavigableString, Tag

        for child in element.children:
            if type(child) is NavigableString:
                self._text.append(str(child) if child.find_parent("pre") else re.sub(r"\s+", " ", child))
            elif isinstance(child, Tag):
                self._element(child)

    def _element(self, element: Any) -> None:
        if element.name in _HEADINGS:
            self.flush()
            self._heading = " ".join(_clean(element.get_text()).split())
        elif element.name in _INLINE:
            self.walk(element)
        elif element.name == "br":
            self._text.append("\n")
        elif element.name in ("td", "th"):
            self.walk(element)
            self._text.append(" | ")
        else:
            self.flush()
            self.walk(element)
            self.flush()

    def flush(self) -> None:
        """End the paragraph."""
        text = _clean("".join(self._text)).strip("\n").rstrip(" |")
        self._text = []
        if text.strip():
            self.blocks.append(Block(text if "\n" in text else text.strip(), self._heading))


def _pdf(path: Path) -> list[Block]:
    """One block per page that has text."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, WrongPasswordError
    except ModuleNotFoundError as error:
        raise MissingExtra(f"reading {path.name} needs pypdf", hint=_MISSING) from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what matters of a broken file becomes a reason
    try:
        with PdfReader(path) as reader:
            if reader.is_encrypted and not reader.decrypt(""):
                raise Unreadable("is encrypted: it needs a password")
            pages = [_unbroken(page.extract_text()).strip() for page in reader.pages]
    except (DependencyError, WrongPasswordError):
        raise Unreadable("is encrypted") from None
    if not any(pages):
        raise Unreadable("has no text, only pictures of it" if pages else "has no pages")
    return [Block(text, "", "page", number, number) for number, text in enumerate(pages, start=1) if text]


def _unbroken(text: str) -> str:
    """Words divided at the end of a line in one piece."""
    return re.sub(r"(?<=[^\W\d_])-\n(?=[^\W\d_])", lambda m: "" if m.string[m.end()].islower() else "-\n", _clean(text))


_READERS: dict[str, Callable[[Path], list[Block]]] = {
    ".txt": _text, ".text": _text, ".md": _markdown, ".markdown": _markdown,
    ".html": _html, ".htm": _html, ".xhtml": _html, ".pdf": _pdf,
}  # fmt: skip
KINDS = tuple(_READERS)
