"""Documents of one's own: what is read, where each passage says it is from, and why a file is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsa_lite.config import DocsSettings
from dsa_lite.errors import UsageError
from dsa_lite.io.document_text import Unreadable, reader_of
from dsa_lite.io.documents import Documents, read_documents

MARKDOWN = """\
Before any heading.

# Frames
A frame is the part of a partition
that a function sees.

```sql
# no heading

SELECT 1
```
## Rows ##
ROWS counts rows.
"""
HTML = """<!doctype html><html><head><title>T</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav><main><h1>Ranking <em>rows</em></h1><p>RANK leaves
   gaps, <code>DENSE_RANK</code> does not.</p><script>alert("no")</script>
<ul><li>first</li><li>second</li></ul><pre>SELECT a,
  b</pre><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></main>
<footer>All rights reserved</footer></body></html>"""


def pdf(*pages: str) -> bytes:
    """A PDF by hand: one line of text per line of each page."""
    shown = ("".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n")) if page else "" for page in pages)
    return drawn(*(f"BT /F1 12 Tf 72 720 Td {lines}ET" for lines in shown))


def drawn(*streams: str) -> bytes:
    """A PDF of pages with these contents."""
    count = len(streams)
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(count))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {count} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for i, stream in enumerate(streams):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    return out + f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()


def encrypted(text: str, path: Path) -> None:
    import io

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(text))))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(path)


def read(folder: Path, **settings: object) -> Documents:
    return read_documents(DocsSettings.model_validate({"folder": str(folder), **settings}))


def by_source(documents: Documents) -> dict[str, str]:
    return {p.source: p.text for p in documents.passages}


def test_every_kind_is_read_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes("\ufeffFirst line\r\nsecond line\r\n\r\nThird\x07".encode())
    (tmp_path / "guide.md").write_text(MARKDOWN, encoding="utf-8")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "page.html").write_text(HTML, encoding="utf-8")
    (tmp_path / "book.pdf").write_bytes(pdf("Windows are or-\ndered sets", "", "Page three"))
    found = read(tmp_path)
    assert by_source(found) == {
        "book.pdf, page 1": "Windows are ordered sets",
        "book.pdf, page 3": "Page three",
        "guide.md, line 1": "Before any heading.",
        "guide.md, lines 4-11 (Frames)": "A frame is the part of a partition\nthat a function sees.\n\n"
        "```sql\n# no heading\n\nSELECT 1\n```",
        "guide.md, line 13 (Frames > Rows)": "ROWS counts rows.",
        "notes.txt, lines 1-4": "First line\nsecond line\n\nThird",
        "more/page.html (Ranking rows)": "RANK leaves gaps, DENSE_RANK does not.\n\nfirst\n\nsecond\n\n"
        "SELECT a,\n  b\n\na | b\n1 | 2",
    }
    assert found.files == 4
    assert found.left_out == ()


def test_what_cannot_be_used_is_listed_with_the_reason(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (docs / "a.txt").write_text("something", encoding="utf-8")
    (docs / "binary.txt").write_bytes(b"MZ\0\1")
    (docs / "binary.html").write_bytes(b"<p>\0\1")
    (docs / "broken.pdf").write_bytes(pdf("text")[:90])
    (docs / "none.pdf").write_bytes(b"hello")
    (docs / "scan.pdf").write_bytes(pdf("", ""))
    encrypted("text", docs / "locked.pdf")
    (docs / "empty.md").write_text(" \n", encoding="utf-8")
    (docs / "huge.txt").write_text("x" * 3000, encoding="utf-8")
    (docs / "latin.txt").write_bytes("naïve".encode("latin-1"))
    (docs / "deep.html").write_text("<div>" * 3_000 + "x", encoding="utf-8")
    (docs / "one.docx").write_bytes(b"PK")
    (docs / "two.docx").write_bytes(b"PK")
    (docs / ".hidden.txt").write_text("hidden", encoding="utf-8")
    (docs / "out.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "gone.txt").symlink_to(docs / "nothing.txt")
    (docs / "loop").symlink_to(docs)
    os.mkfifo(docs / "pipe.txt")
    found = read(docs, max_file_mb=0.2)
    huge = read(docs, max_file_mb=0.002)
    assert by_source(found)["a.txt, line 1"] == "something"
    assert not any(word in text for text in by_source(found).values() for word in ("secret", "hidden"))
    reasons = dict(found.left_out)
    zero = "is no text: it holds zero bytes (if it is UTF-16: save it as UTF-8)"
    assert reasons["out.txt"] == reasons.get("loop", "").replace("to a folder", "that leads out of the folder")
    assert reasons["binary.txt"] == reasons["binary.html"] == zero
    assert reasons["latin.txt"] == "is not UTF-8 (byte 3): save it as UTF-8"
    assert reasons["locked.pdf"] == "is encrypted: it needs a password"
    assert reasons["scan.pdf"] == "has no text, only pictures of it"
    assert reasons["empty.md"] == "is empty"
    assert reasons["pipe.txt"] == "is no ordinary file"
    assert reasons["gone.txt"].startswith("cannot be opened")
    assert reasons["2 x .docx"] == "is of a kind that is not read"
    for name in ("broken.pdf", "none.pdf", "deep.html"):
        assert reasons[name].startswith("is broken ("), reasons[name]
    assert dict(huge.left_out)["huge.txt"] == "has 0.003 MB, more than docs.max_file_mb = 0.002"
    assert found.notes()[0].startswith("documents: 2 read, ")
    assert "left out: latin.txt: is not UTF-8 (byte 3): save it as UTF-8" in found.notes()


def page(folder: Path, body: str | bytes) -> list[str]:
    """The paragraphs of a web page."""
    (folder / "page.html").write_bytes(body if isinstance(body, bytes) else body.encode())
    read_it = reader_of(folder / "page.html")
    assert read_it is not None
    return [block.text for block in read_it(folder / "page.html")]


MI = "<math><mi>n</mi><msup><mi>x</mi><mrow><mi>n</mi><mo>-</mo><mn>1</mn></mrow></msup></math>"
TEX = '<semantics><mi>x</mi><annotation encoding="application/x-tex">{\\displaystyle x_1}</annotation></semantics>'


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (f"So {MI}, then.", "So nx^{n-1}, then."),
        (f"So <math>{TEX}</math>, then.", "So x_1, then."),
        ('So <math alttext="\\frac{a}{b}"><mfrac><mi>a</mi><mi>b</mi></mfrac></math>.', "So \\frac{a}{b}."),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>", "(a+b)/2"),
        ("<math><msqrt><mi>x</mi></msqrt><mo>&#x2062;</mo><mroot><mi>y</mi><mn>3</mn></mroot></math>", "√(x)(y)^(1/3)"),
        ("<math><munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover></math>",
         "∑_{i=1}^n"),
        ("<math><mfenced><mtable><mtr><mtd>1</mtd><mtd>2</mtd></mtr></mtable></mfenced></math>", "(1, 2)"),
        (f'<span class="katex"><math>{TEX}</math><span aria-hidden="true">x1</span></span>.', "x_1."),
        ('<span class="MathJax">x2</span><script type="math/tex">x^2</script>.', "x^2."),
        ("2<sup>10</sup>, x<sup>n-1</sup>, 5 cm<sup>2</sup>, 1<sup>st</sup>", "2^10, x^{n-1}, 5 cm^2, 1st"),
        ('<b aria-hidden="true">2.</b> of<sup>!</sup> size<sup>1</sup>', "2. of! size1"),
        ("ﬁrst aﬄuent, x²", "first affluent, x²"),
    ],
)  # fmt: skip
def test_formulas_stay_in_their_line(tmp_path: Path, markup: str, text: str) -> None:
    assert page(tmp_path, f"<p>{markup}</p>") == [text]


HEADS, LAST = "<tr><th>a</th><th>b</th></tr>", "<tr><td></td><td>2</td></tr>"


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ('<form id="page"><input name="state"><p>One</p><select><option>no</option></select></form>', ["One"]),
        ("<p>One</p><form><label>Search</label><input></form>", ["One"]),
        ("<article><p>One, and more</p></article><article><p>Two, and more</p></article><p>x</p>",
         ["One, and more", "Two, and more"]),
        ("<p>One, and much more</p><article>two</article>", ["One, and much more", "two"]),
        ("<article><p>One</p><article>comment</article></article>", ["One", "comment"]),
        ("<main></main><p>One</p>", ["One"]),
        ('<p>no</p><div role="main">One</div>', ["One"]),
        (f"<table><caption>C</caption>{HEADS}<tr><td><p>1</p></td><td></td></tr>{LAST}</table>", ["C\na | b\n1\n | 2"]),
        ("<table><tr><td><h1>T</h1><p>One</p></td><td><ul><li>Two</li></ul></td></tr></table>", ["One", "Two"]),
    ],
)  # fmt: skip
def test_the_text_of_a_page_and_nothing_else(tmp_path: Path, body: str, texts: list[str]) -> None:
    assert page(tmp_path, f"<html><body>{body}</body></html>") == texts


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("", "cp1252"),
        ('<meta charset="iso-8859-1">', "cp1252"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">', "iso-8859-2"),
        ('<?xml version="1.0" encoding="cp1250"?>', "cp1250"),
    ],
)
def test_a_page_is_read_in_the_encoding_it_says(tmp_path: Path, head: str, encoding: str) -> None:
    assert page(tmp_path, f"{head}<p>Größe, ä</p>".encode(encoding)) == ["Größe, ä"]


@pytest.mark.parametrize("charset", ["utf-8", "klingon"])
def test_a_page_that_is_not_in_its_encoding_is_left_out(tmp_path: Path, charset: str) -> None:
    with pytest.raises(Unreadable, match=f"is not in the encoding {charset}: save it as UTF-8"):
        page(tmp_path, f'<meta charset="{charset}"><p>Größe</p>'.encode("cp1252"))


def test_a_page_in_two_columns_that_is_written_line_by_line(tmp_path: Path) -> None:
    left = [f"left {n} of the frame" for n in range(8)]
    right = [f"right {n} of the rank" for n in range(8)]
    lines = [(72, 720, "A title over both of the columns of this page")]
    for n in range(8):
        lines += [(72, 700 - 14 * n, left[n]), (320, 700 - 14 * n, right[n])]
    page = " ".join(f"BT /F1 10 Tf {x} {y} Td ({text}) Tj ET" for x, y, text in lines)
    (tmp_path / "a.pdf").write_bytes(drawn(page))
    text = by_source(read(tmp_path))["a.pdf, page 1"]
    assert text == "\n".join([lines[0][2], *left, *right])


def test_text_in_utf_16_and_words_divided_at_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A parti-\ntion of rows.\nOne - \ntwo, A-\nB\n\nEnd", encoding="utf-16")
    assert by_source(read(tmp_path)) == {"a.txt, lines 1-7": "A partition\nof rows.\nOne - \ntwo, A-\nB\n\nEnd"}


@pytest.mark.parametrize("name", ["nothing", "file.txt", "empty"])
def test_a_folder_with_nothing_to_read_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_bytes(b"\0")
    expected = {"nothing": "does not exist", "file.txt": "is no folder", "empty": "a.txt: is no text"}
    with pytest.raises(UsageError, match=expected[name]):
        read(tmp_path / name)


def test_passages_are_short_and_the_fingerprint_follows_the_words(tmp_path: Path) -> None:
    text = "\n".join(f"Line {n} of a long paragraph about frames and partitions." for n in range(60))
    path = tmp_path / "long.txt"
    path.write_text(text + "\n" + " ".join(map(str, range(500))), encoding="utf-8")
    first = read(tmp_path, passage_chars=400)
    assert all(len(p.text) <= 400 for p in first.passages)
    assert len({p.source for p in first.passages}) == len(first.passages)
    assert " ".join(" ".join(p.text for p in first.passages).split()) == " ".join(path.read_text().split())
    assert first.passages[0].source == "long.txt, lines 1-7"
    path.write_text(path.read_text() + "\n\n\n", encoding="utf-8")
    assert read(tmp_path, passage_chars=400).fingerprint == first.fingerprint
    path.write_text(path.read_text().replace("Line 7", "Line seven"), encoding="utf-8")
    assert read(tmp_path, passage_chars=400).fingerprint != first.fingerprint


@pytest.mark.parametrize(("file", "package"), [("a.html", "bs4"), ("a.pdf", "pypdf")])
def test_a_missing_library_is_named_with_the_pip_line(tmp_path: Path, file: str, package: str) -> None:
    (tmp_path / file).write_bytes(b"x")
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from dsa_lite.config import DocsSettings\n"
        "from dsa_lite.errors import MissingExtra\n"
        "from dsa_lite.io.documents import read_documents\n"
        "try:\n    read_documents(DocsSettings(folder=sys.argv[1]))\n"
        "except MissingExtra as error:\n    print(error.message, '/', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert f"reading {file} needs" in done.stdout
    assert 'pip install "dsa-lite[docs]"' in done.stdout
