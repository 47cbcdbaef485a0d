"""From bytes to text: encodings, PDFs, Word documents, and documents that lie, swell or never end."""

from __future__ import annotations

import codecs
import contextlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core.pipeline.document import Unusable
from cvdebug.core.pipeline.documents import MAX_BYTES, Document, Skipped, read
from cvdebug.core.pipeline.extraction import Extraction
from cvdebug.core.pipeline.formats.text import guessed, plain, tidy
from hypothesis import given
from hypothesis import strategies as st

from .. import papers

FRENCH = "Hélène Lefèvre, chef de projet à Besançon – dix ans d’expérience en génie logiciel, été compris."
TEXTS = {
    "cp1252": FRENCH,
    "cp1250": "Łukasz Wiśniewski, inżynier oprogramowania, Kraków. Doświadczenie: sześć lat, książka, święto.",
    "cp1251": "Иван Петров, инженер-программист, Москва. Опыт работы: пять лет, разработка баз данных.",
    "koi8-r": "Иван Петров, инженер-программист, Москва. Опыт работы: пять лет, разработка баз данных.",
    "cp1253": "Γιώργος Παπαδόπουλος, μηχανικός λογισμικού, Αθήνα. Εμπειρία: δέκα χρόνια.",
    "cp1254": "Ayşe Yılmaz, yazılım mühendisi, İstanbul. Deneyim: on yıl veri tabanı geliştirme, üniversite öğrencisi.",
    "cp932": "山田太郎、ソフトウェアエンジニア、東京。経験:十年間の開発。",
    "gb18030": "李明,软件工程师,北京。经验:十年数据库开发。",
    "cp949": "김철수, 소프트웨어 엔지니어, 서울. 경력: 데이터베이스 개발 십년.",
}


@pytest.fixture(scope="module")
def extraction() -> Iterator[Extraction]:
    with Extraction() as running:
        yield running


def text_of(extraction: Extraction, path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return extraction.text(path, suffix=path.suffix, max_bytes=MAX_BYTES)[0]


def refused(extraction: Extraction, path: Path, data: bytes) -> tuple[str, str]:
    with pytest.raises(Unusable) as caught:
        text_of(extraction, path, data)
    return caught.value.kind, str(caught.value)


# --- plain text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"), (b"", "utf-16-be"),
    ],
)  # fmt: skip
def test_unicode_is_read_with_and_without_its_mark(mark: bytes, encoding: str) -> None:
    assert plain(mark + FRENCH.encode(encoding)) == FRENCH


@pytest.mark.parametrize("encoding", TEXTS)
def test_older_encodings_are_told_by_their_bytes(encoding: str) -> None:
    data = TEXTS[encoding].encode(encoding)
    assert plain(data) is None
    assert guessed(data) == guessed(data) == (TEXTS[encoding], encoding)


@pytest.mark.parametrize("text", ["café au lait", "Köln", "Zoë Müller, Zürich"])
def test_a_short_western_text_is_no_chinese(text: str) -> None:
    assert guessed(text.encode("cp1252")) == (text, "cp1252")


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    with contextlib.suppress(Unusable):
        if plain(data) is None:
            text, encoding = guessed(data)
            assert data.decode(encoding) == text


@given(st.text(st.characters()))
def test_what_a_parser_found_becomes_storable_and_stays_so(text: str) -> None:
    found = tidy(text)
    assert tidy(found) == found == unicodedata.normalize("NFC", found)
    found.encode()
    assert not any(unicodedata.category(c) == "Cc" for c in found if c not in "\n\t")


# --- PDF and Word -----------------------------------------------------------------------------------------


def test_a_pdf_gives_its_pages_in_order(extraction: Extraction, tmp_path: Path) -> None:
    data = papers.pdf("Zoë (Müller)\nÉcole, Zürich", "second page\nwas depart-\nment head")
    found = text_of(extraction, tmp_path / "a.pdf", data)
    assert found == "Zoë (Müller)\nÉcole, Zürich\nsecond page\nwas department head"


def test_a_pdf_that_only_restricts_is_read(extraction: Extraction, tmp_path: Path) -> None:
    data = papers.encrypted_pdf("for all to read", user="", owner="secret")
    assert text_of(extraction, tmp_path / "a.pdf", data) == "for all to read"


def test_a_word_document_gives_all_its_paragraphs(extraction: Extraction, tmp_path: Path) -> None:
    data = papers.word("Zoe\u0301 Müller", "line\tone", table=("2015", "Engineer"), header="CV", footer="page 1")
    found = text_of(extraction, tmp_path / "a.docx", data)
    assert [line for line in found.splitlines() if line] == [
        "CV", "Zoé Müller", "line\tone", "2015", "Engineer", "page 1"
    ]  # fmt: skip


def test_text_boxes_content_controls_and_changes_are_read_as_they_show(extraction: Extraction, tmp_path: Path) -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    box = (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice><w:txbxContent><w:p>{run.format('in a box')}</w:p></w:txbxContent></mc:Choice>"
        f"<mc:Fallback><w:txbxContent><w:p>{run.format('in a box')}</w:p></w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent>"
    )
    body = (
        f"<w:p>{run.format('outer')}<w:r>{box}</w:r>{run.format(' text')}</w:p>"
        f"<w:sdt><w:sdtContent><w:p>{run.format('controlled')}</w:p></w:sdtContent></w:sdt>"
        f"<w:p><w:ins>{run.format('new')}</w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        f"<w:moveFrom>{run.format('moved')}</w:moveFrom><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr></w:p>"
    )
    found = text_of(extraction, tmp_path / "a.docx", papers.word_with(body))
    assert found.splitlines() == ["outer text", "in a box", "controlled", "new"]


def test_a_word_document_in_strict_open_xml_is_read_too(extraction: Extraction, tmp_path: Path) -> None:
    strict = papers.strict(papers.word("Zoë Müller", header="CV"))
    assert text_of(extraction, tmp_path / "a.docx", strict).split("\n") == ["CV", "Zoë Müller"]


def test_what_cannot_be_used_says_why(extraction: Extraction, tmp_path: Path) -> None:
    pdf, docx = tmp_path / "a.pdf", tmp_path / "a.docx"
    torn = papers.replaced(papers.word("x"), "[Content_Types].xml", b"<")
    cases = [
        (pdf, b"", ("without text", "is empty")),
        (pdf, papers.pdf(""), ("without text", "holds no text: perhaps pictures of pages, which would need OCR")),
        (pdf, papers.encrypted_pdf("x", user="u", owner="o"), ("encrypted", "is encrypted: it asks for a password")),
        (pdf, b"%PDF-1.7 and no more", ("broken", "is a broken PDF")),
        (pdf, papers.word("x"), ("of another type", "is a zip archive or an Office document, and not a PDF")),
        (pdf, b"Just words", ("of another type", "is something else, and not a PDF")),
        (docx, b"", ("without text", "is empty")),
        (docx, papers.encrypted_word(), ("encrypted", "is encrypted: it asks for a password")),
        (docx, papers.encrypted_word()[:512], ("of another type", "is an old .doc, and not a .docx")),
        (docx, papers.pdf("x"), ("of another type", "is a PDF, and not a Word document")),
        (docx, papers.word("x")[:-200], ("broken", "is a broken Word document: its archive cannot be read")),
        (docx, torn, ("broken", "is a broken Word document (XMLSyntaxError)")),
        (docx, papers.sheet(), ("of another type", "is an Office document, and not a Word document")),
        (docx, papers.archive("a.txt"), ("of another type", "is a zip archive, and not a Word document")),
    ]
    for path, data, said in cases:
        assert refused(extraction, path, data) == said


def test_a_word_document_reads_nothing_from_outside(extraction: Extraction, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    doctype = f'<!DOCTYPE d [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]>'
    data = papers.word_with("<w:p><w:r><w:t>inside &s;</w:t></w:r></w:p>", doctype=doctype)
    assert "outside" not in text_of(extraction, tmp_path / "a.docx", data)


# --- traps ------------------------------------------------------------------------------------------------


def test_what_takes_too_long_is_left_and_the_next_one_read(tmp_path: Path) -> None:
    with Extraction(deadline_s=1.0) as extraction:
        kind, said = refused(extraction, tmp_path / "round.pdf", papers.form_in_itself())
        assert (kind, said) == ("too slow", "cannot be read within 1 s")
        assert text_of(extraction, tmp_path / "a.pdf", papers.pdf("fine")) == "fine"


def test_a_parser_that_is_killed_costs_one_document(tmp_path: Path) -> None:
    with Extraction() as extraction:
        assert text_of(extraction, tmp_path / "a.pdf", papers.pdf("fine")) == "fine"
        assert extraction.process is not None
        extraction.process.kill()
        kind, said = refused(extraction, tmp_path / "b.pdf", papers.pdf("unlucky"))
        assert (kind, said) == ("broken", "makes its parser crash (SIGKILL)")
        assert text_of(extraction, tmp_path / "a.pdf", papers.pdf("fine")) == "fine"


@pytest.mark.slow
def test_no_trap_ends_or_stops_the_reading(tmp_path: Path) -> None:
    traps = papers.traps()
    for name, data in traps.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "zzz.pdf").write_bytes(papers.pdf("the last one"))
    *trapped, last = read(tmp_path)
    assert last == Document("zzz.pdf", "the last one")
    assert [item.source for item in trapped] == sorted(traps)
    for item in trapped:
        assert isinstance(item, Skipped), item
        assert item.kind in ("broken", "too large", "too slow", "without text"), item
