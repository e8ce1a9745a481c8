"""Text, Markdown, HTML and PDF files as blocks of plain text that know their place."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dsa_lite.core.columns import in_columns
from dsa_lite.core.passages import Block
from dsa_lite.errors import MissingExtra
from dsa_lite.io.document_math import formula, raised
from dsa_lite.io.files import decoded

_MISSING = 'pip install "dsa-lite[docs]"'
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NO_TEXT = ("script", "style", "noscript", "template", "nav", "aside", "footer", "iframe", "svg", "button", "head",
            "select", "textarea", "datalist", "dialog")  # fmt: skip
_OF_TEXT = ("p", "article", "main", "table", "pre", *_HEADINGS)  # a form with one of them holds more than fields
_OF_LAYOUT = ("table", "ul", "ol", "dl", "pre", *_HEADINGS)  # a cell with one of them is no value of a table
_PROLOG = re.compile(r"\s*<\?xml\b[^>]*>")
_BASE = re.compile(r"[\d)\]}]$|(?<![^\W\d_]{3})[^\W\d_]$")  # of a power: a figure, a bracket, a short name or unit
_RENDERED = ".MathJax, .MathJax_Preview, .MathJax_Display, .MathJax_SVG"
_INLINE = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "label",
     "mark", "q", "s", "samp", "small", "span", "strong", "sub", "time", "tt", "u", "var", "wbr")
)  # fmt: skip


class Unreadable(Exception):
    """Why a file cannot be used, in words for its owner."""


def reader_of(path: Path) -> Callable[[Path], list[Block]] | None:
    """What reads a file of this kind; None: nothing does. A reader raises Unreadable, OSError or MissingExtra."""
    return _READERS.get(path.suffix.casefold())


def _text(path: Path) -> list[Block]:
    text = re.sub(r"(?<=[^\W\d_])-\n([^\W\d_]\S*) ?", _undivided, _decoded(path))
    return list(_paragraphs(text.split("\n")))


def _undivided(end: re.Match[str]) -> str:
    """A word divided at the end of a line in one piece; the lines stay as many as they were."""
    return f"{end[1]}\n" if end[1][0].islower() else end[0]


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
    try:
        return _clean(decoded(path.read_bytes()))
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00ad", "").translate(_LIGATURES)
    text = unicodedata.normalize("NFC", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _html(path: Path) -> list[Block]:
    try:
        from bs4 import BeautifulSoup
    except ModuleNotFoundError as error:
        raise MissingExtra(f"reading {path.name} needs Beautiful Soup", hint=_MISSING) from error
    soup = BeautifulSoup(_PROLOG.sub("", _markup(path.read_bytes())), "html.parser")
    _only_text(soup)
    found = _Page()
    for element in _content(soup):
        found.walk(element)
        found.flush()
    return found.blocks


def _markup(raw: bytes) -> str:
    """A page as text: UTF-8, what its byte order mark or its head says, else what browsers take. Raises Unreadable."""
    from bs4.dammit import EncodingDetector

    try:
        return decoded(raw)
    except ValueError as error:
        if b"\0" in raw:
            raise Unreadable(str(error)) from None
    said = (EncodingDetector.find_declared_encoding(raw, is_html=True) or "cp1252").casefold()
    try:
        return raw.decode("cp1252" if said in ("iso-8859-1", "latin-1", "latin1", "ascii", "us-ascii") else said)
    except (LookupError, ValueError):
        raise Unreadable(f"is not in the encoding {said}: save it as UTF-8") from None


def _only_text(soup: Any) -> None:
    """Takes out what is no text of the page, and what shows a formula a second time."""
    scripts = soup.find_all("script", type=re.compile("^math/tex"))
    for element in soup.select(_RENDERED) if scripts else ():
        element.decompose()
    for script in scripts:
        script.replace_with(script.get_text())
    forms = [form for form in soup("form") if form.find(_OF_TEXT) is None]
    for element in (*soup(list(_NO_TEXT)), *forms):
        element.decompose()
    for element in soup(attrs={"aria-hidden": "true"}):
        if not element.decomposed and element.parent.find("math"):  # KaTeX, MathJax 3
            element.decompose()


def _content(soup: Any) -> list[Any]:
    """The parts of the page that hold its text: `main`, else its articles where they are most of it, else all."""
    for found, least in ((soup("main") or soup(role="main"), 0.0), (soup("article"), 0.5)):
        names = {element.name for element in found}
        tops = [element for element in found if element.find_parent(names) is None]  # equal tags may be two
        length = sum(len(element.get_text(strip=True)) for element in tops)
        if length and length >= least * len(soup.get_text(strip=True)):
            return tops
    return [soup.body or soup]


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
        elif element.name == "math":
            self._text.append(formula(element))
        elif element.name == "sup":
            self._superscript(element)
        elif element.name == "br":
            self._text.append("\n")
        elif element.name == "table" and not any(cell.find(_OF_LAYOUT) for cell in element(["td", "th"])):
            self.flush()
            self._text += ["\n".join(_rows(element))]
            self.flush()
        else:
            self.flush()
            self.walk(element)
            self.flush()

    def _superscript(self, element: Any) -> None:
        """2<sup>10</sup> is no 210; an ordinal's ending and the mark of a footnote behind a word are no powers."""
        text, before = _line(element), "".join(self._text[-3:])
        power = re.search(r"\w", text) and text not in ("st", "nd", "rd", "th") and not element.find("a")
        self._text.append(raised(text) if power and _BASE.search(before) else text)

    def flush(self) -> None:
        """End the paragraph."""
        text = _clean("".join(self._text)).strip("\n").rstrip(" |")
        self._text = []
        if text.strip():
            self.blocks.append(Block(text if "\n" in text else text.strip(), self._heading))


def _rows(table: Any) -> Iterator[str]:
    """One line per row that holds anything, its cells divided by bars."""
    for row in table(["caption", "tr"]):
        cells = [_line(cell) for cell in (row(["td", "th"]) or [row])]
        if any(cells):
            yield " | ".join(cells).rstrip(" |")


def _line(cell: Any) -> str:
    page = _Page()
    page.walk(cell)
    page.flush()
    return " ".join(" ".join(block.text for block in page.blocks).split())


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
            pages = [_unbroken(_page_text(page)).strip() for page in reader.pages]
    except (DependencyError, WrongPasswordError):
        raise Unreadable("is encrypted") from None
    if not any(pages):
        raise Unreadable("has no text, only pictures of it" if pages else "has no pages")
    return [Block(text, "", "page", number, number) for number, text in enumerate(pages, start=1) if text]


def _page_text(page: Any) -> str:
    """The text of a page; where its lines run across two columns, the left one first."""
    pieces: list[tuple[float, float, str]] = []

    def note(text: str, over: list[float], own: list[float], *_: object) -> None:
        if text.strip():
            x, y = own[4], own[5]
            pieces.append((over[0] * x + over[2] * y + over[4], over[1] * x + over[3] * y + over[5], text))

    text: str = page.extract_text(visitor_text=note)
    return in_columns(pieces) or text


def _unbroken(text: str) -> str:
    """Words divided at the end of a line in one piece."""
    return re.sub(r"(?<=[^\W\d_])-\n(?=[^\W\d_])", lambda m: "" if m.string[m.end()].islower() else "-\n", _clean(text))


_READERS: dict[str, Callable[[Path], list[Block]]] = {
    ".txt": _text, ".text": _text, ".md": _markdown, ".markdown": _markdown,
    ".html": _html, ".htm": _html, ".xhtml": _html, ".pdf": _pdf,
}  # fmt: skip
KINDS = tuple(_READERS)
