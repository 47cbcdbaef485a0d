"""Makes documents for tests: PDFs written by hand, Word documents by python-docx, and traps of both kinds."""

from __future__ import annotations

import io
import re
import textwrap
import zipfile
import zlib
from collections.abc import Sequence

_HEAD = b"%PDF-1.7\n"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(*pages: str) -> bytes:
    """A PDF with a page for each text, in Helvetica and WinAnsi: letters of Western Europe only."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, text in enumerate(pages):
        objects += [_page(5 + 2 * number), stream(_drawn(text))]
    return assembled(objects)


def typeset(text: str) -> bytes:
    """A PDF of as many pages as the text takes, its lines broken so that they fit: what lies outside is not read."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, 90) or [""]]
    return pdf(*("\n".join(lines[first : first + 60]) for first in range(0, len(lines), 60)))


def _page(contents: int) -> bytes:
    box = "/MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R >> >>"
    return f"<< /Type /Page /Parent 2 0 R {box} /Contents {contents} 0 R >>".encode()


def _drawn(text: str) -> bytes:
    lines = [line.translate({ord(c): f"\\{c}" for c in "()\\"}) for line in text.splitlines()]
    return b"BT /F 10 Tf 12 TL 40 800 Td " + b" ".join(b"(%b) Tj T*" % line.encode("cp1252") for line in lines) + b" ET"


def stream(data: bytes, head: str = "") -> bytes:
    """A stream object, deflated."""
    packed = zlib.compress(data)
    return f"<< {head} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode() + packed + b"\nendstream"


def assembled(objects: Sequence[bytes], more: str = "") -> bytes:
    """The file of these objects, numbered from 1; the first is the catalogue. `more` goes into the trailer."""
    out, places = bytearray(_HEAD), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    begin = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {more} >>\nstartxref\n{begin}\n%%EOF\n".encode()
    return bytes(out)


def encrypted_pdf(text: str, *, user: str, owner: str) -> bytes:
    """A PDF that asks for the password `user`; for none, where that is empty, and then only restricts."""
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(text)))
    writer.encrypt(user_password=user, owner_password=owner, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def word(*paragraphs: str, table: Sequence[str] = (), header: str = "", footer: str = "") -> bytes:
    """A Word document; `table` is one row of cells."""
    import docx

    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        for cell, text in zip(document.add_table(1, len(table)).rows[0].cells, table, strict=True):
            cell.text = text
    if header:
        document.sections[0].header.paragraphs[0].text = header
    if footer:
        document.sections[0].footer.paragraphs[0].text = footer
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def word_with(body: str, *, doctype: str = "") -> bytes:
    """A Word document with this XML as its body."""
    xml = f'<?xml version="1.0"?>{doctype}<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
    return replaced(word(), "word/document.xml", xml.encode())


def replaced(package: bytes, name: str, data: bytes) -> bytes:
    """A zip archive with one member changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, data if member == name else old.read(member))
    return out.getvalue()


def strict(package: bytes) -> bytes:
    """The same package as Word saves it in Strict Open XML: with other names for everything in it."""
    usual = re.compile(rb"http://schemas\.openxmlformats\.org/(\w+)/2006")
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, re.sub(usual, _strictly, source.read(name)))
    return out.getvalue()


def _strictly(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] == b"package" else b"http://purl.oclc.org/ooxml/" + found[1]


def archive(*names: str) -> bytes:
    """A zip archive of empty files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name in names:
            new.writestr(name, "")
    return out.getvalue()


def sheet() -> bytes:
    """A Word document that says it is a spreadsheet."""
    data = word()
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        types = package.read("[Content_Types].xml")
    return replaced(data, "[Content_Types].xml", types.replace(b"wordprocessingml.document", b"spreadsheetml.sheet"))


def encrypted_word() -> bytes:
    """The beginning and the stream's name of what Word writes for a document with a password."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + "EncryptedPackage".encode("utf-16-le") + bytes(4000)


_ROOT = b"<< /Type /Catalog /Pages 2 0 R >>"


def _one_page(*contents: bytes) -> bytes:
    """A PDF of one page; the first of `contents` is drawn, and may call the second /X."""
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    form = b"/Resources << /XObject << /X 5 0 R >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R " + form + b" >>"
    return assembled([_ROOT, pages, page, *contents])


def form_in_itself() -> bytes:
    """A PDF whose page draws a form that draws itself twice: PDFium goes on until it has no memory left."""
    form = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R /Y 5 0 R >> >>"
    return _one_page(stream(b"/X Do"), stream(b"/X Do /Y Do", form))


def _swelling_pdf() -> bytes:
    """Half a kilobyte that unpacks to half a gigabyte."""
    packed = zlib.compress(zlib.compress(bytes(1 << 29)))
    head = b"<< /Filter [/FlateDecode /FlateDecode] /Length %d >>\nstream\n" % len(packed)
    return _one_page(head + packed + b"\nendstream")


def pages_in_themselves() -> bytes:
    """A PDF whose tree of pages is its own child."""
    return assembled([_ROOT, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"])


def laughs() -> bytes:
    """A Word document of an entity that stands for a hundred thousand million others."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return word_with("<w:p>&e11;</w:p>", doctype=f'<!DOCTYPE d [<!ENTITY e0 "ha">{entities}]>')


def traps() -> dict[str, bytes]:
    """Documents that try to swell, to go round in circles, or to nest without end, by file name."""
    return {
        "form-in-itself.pdf": form_in_itself(),
        "pages-in-themselves.pdf": pages_in_themselves(),
        "million-pages.pdf": assembled([_ROOT, b"<< /Type /Pages /Kids [] /Count 1000000 >>"]),
        "swells.pdf": _swelling_pdf(),
        "nested.pdf": assembled([_ROOT, b"[" * 1_000_000]),
        "swells.docx": replaced(word(), "word/document.xml", bytes(300 << 20)),
        "laughs.docx": laughs(),
        "nested.docx": word_with("<w:sdt>" * 100_000 + "</w:sdt>" * 100_000),
    }
