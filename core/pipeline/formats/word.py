"""The text of a Word document (.docx), by python-docx; paragraphs in order, wherever they stand.

Templates of CVs put text into tables, text boxes, content controls and page headers, so every paragraph of the
document's tree is read, and not only those at its top.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE as RELATIONS
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from lxml.etree import LxmlError

from ..document import Unusable
from .text import signature, tidy

MAX_UNPACKED = 256 << 20
"""A document that unpacks to more bytes is a trap, or holds films."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an encrypted .docx is wrapped in one, and an old .doc is one
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # the stream's name: [MS-OFFCRYPTO] 1.3.2
_TEXT, _PARAGRAPH = qn("w:t"), qn("w:p")
_SPACES = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# Said already elsewhere (the older form of a text box), or moved away and kept for the record.
_LEFT_OUT = {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", qn("w:moveFrom")}


def text(data: bytes, most: int) -> str:
    """Page headers, the body, and footers, a line a paragraph. Raises Unusable; above `most` characters too."""
    _require_package(data)
    try:
        part = docx.Document(_transitional(data)).part
        trees = [*_beside(part, RELATIONS.HEADER), part.element, *_beside(part, RELATIONS.FOOTER)]
        found = "\n".join(line for tree in trees for line in _lines(tree))
    except ValueError as error:
        if "is not a Word file" in str(error):
            raise Unusable("of another type", "is an Office document, and not a Word document") from None
        raise Unusable("broken", f"is a broken Word document ({error})") from None
    except (OpcError, LxmlError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise Unusable("broken", f"is a broken Word document ({type(error).__name__})") from None
    if len(found) > most:
        raise Unusable("too large", f"holds more than {most >> 20} million characters of text")
    return tidy(found)


def _require_package(data: bytes) -> None:
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise Unusable("encrypted", "is encrypted: it asks for a password")
        raise Unusable("of another type", "is an old .doc, and not a .docx")
    if not data.startswith(b"PK\x03\x04"):
        raise Unusable("of another type", f"is {signature(data) or 'something else'}, and not a Word document")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = package.infolist()
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        raise Unusable("broken", "is a broken Word document: its archive cannot be read") from None
    if any(member.flag_bits & 1 for member in members):
        raise Unusable("encrypted", "is encrypted: it asks for a password")
    if sum(member.file_size for member in members) > MAX_UNPACKED:
        raise Unusable("too large", f"unpacks to more than {MAX_UNPACKED >> 20} MB")
    if "[Content_Types].xml" not in {member.filename for member in members}:
        raise Unusable("of another type", "is a zip archive, and not a Word document")


def _transitional(data: bytes) -> io.BytesIO:
    """The package; one that Word saved as Strict Open XML with the usual names, as python-docx knows no others."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        if not _STRICT.search(package.read("_rels/.rels")):
            return io.BytesIO(data)
        with zipfile.ZipFile(new, "w") as written:
            for name in package.namelist():
                part = package.read(name)
                usual = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006", part)
                written.writestr(name, usual if name.endswith((".xml", ".rels")) else part)
    return new


def _beside(part: Any, relation: str) -> Iterator[Any]:
    """The trees of a document's page headers or footers, each once, by name."""
    parts = {rel.target_part for rel in part.rels.values() if rel.reltype == relation and not rel.is_external}
    for found in sorted(parts, key=lambda found: str(found.partname)):
        if (tree := getattr(found, "element", None)) is not None:
            yield tree


def _lines(tree: Any) -> Iterator[str]:
    """The text of each paragraph below `tree`, in the order of their beginnings; with no recursion."""
    lines: list[list[str]] = []
    open_lines: list[list[str]] = []
    walk = [(tree, False)]
    while walk:
        element, left = walk.pop()
        if left:
            open_lines.pop()
            continue
        if element.tag in _LEFT_OUT:
            continue
        if element.tag == _PARAGRAPH:
            open_lines.append([])
            lines.append(open_lines[-1])
            walk.append((element, True))
        elif open_lines:
            _write(element, open_lines[-1])
        walk.extend((child, False) for child in reversed(element))
    return ("".join(line) for line in lines)


def _write(element: Any, line: list[str]) -> None:
    if element.tag == _TEXT:
        line.append(element.text or "")
    elif element.tag in _SPACES and element.getparent().tag == qn("w:r"):
        line.append(_SPACES[element.tag])
