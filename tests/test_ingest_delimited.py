"""Delimited text: encodings, delimiters, records and the physical lines they begin on."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import FileError
from pipelines.ingest import delimited
from pipelines.ingest.delimited import LINE, as_utf8, find_header, read_batches

KEYS = ("a", "b", "c")


def read(path: Path, spool: Path) -> tuple[list[tuple[int, ...]], list[tuple[int, tuple[str, ...]]]]:
    """(records with their lines, ragged records with theirs)"""
    text = as_utf8(path, path.name, spool)
    layout = find_header(text, path.name)
    keys = tuple(f"k{at}" for at in range(len(layout.header)))
    rows: list[tuple[int, ...]] = []
    ragged: list[tuple[int, tuple[str, ...]]] = []
    for batch in read_batches(text, layout, keys, path.name, set()):
        filled = batch.frame.with_columns(pl.col(pl.String).fill_null(""))
        rows += filled.select(LINE, *keys).rows()
        ragged += [(item.line, item.fields) for item in batch.ragged]
    return rows, ragged


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_ending(tmp_path: Path, spool: Path, delimiter: str, ending: str) -> None:
    path = tmp_path / "x.csv"
    lines = ["a,b,c", "1,2,3", "", "4,5,6"]
    path.write_bytes(ending.join(line.replace(",", delimiter) for line in lines).encode())
    assert read(path, spool) == ([(2, "1", "2", "3"), (4, "4", "5", "6")], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_gives_the_same_text(tmp_path: Path, spool: Path, encoding: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("név,b\nMüller – Söhne,2\n".replace("é", "e").encode(encoding))
    assert read(path, spool) == ([(2, "Müller – Söhne", "2")], [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\nПривет мир Привет,2\n".encode("cp1251"), "line 2"),
        ("a,b\nGrün,2\n".encode() + b"Gr\xfcn,3\n", "line 3"),
        ("a,b\n1,2\n".encode("utf-16-le"), "not text"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "broken"),
    ],
    ids=["cyrillic", "two encodings in one file", "utf-16 without its mark", "utf-16 cut short"],
)
def test_an_encoding_that_makes_no_sense_is_an_error(tmp_path: Path, spool: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=says):
        read(path, spool)


def test_lines_are_physical_lines_through_quotes_and_breaks(tmp_path: Path, spool: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('"a","b"\n1,"two\nlines"\n2,plain\n3,"he said ""no"", twice"\n4\n5,x,y\n6,end', encoding="utf-8")
    rows, ragged = read(path, spool)
    assert rows == [(2, "1", "two\nlines"), (4, "2", "plain"), (5, "3", 'he said "no", twice'), (8, "6", "end")]
    assert ragged == [(6, ("4",)), (7, ("5", "x", "y"))]


def test_a_title_and_excels_separator_hint_before_the_header_are_passed_over(tmp_path: Path, spool: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("sep=;\nMy report\n\na;b\n1;2\n", encoding="utf-8")
    assert read(path, spool) == ([(5, "1", "2")], [])


def test_a_quote_that_is_never_closed_is_an_error_and_not_one_long_row(tmp_path: Path, spool: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,2\n3,"oops\n5,6\n7,8\n', encoding="utf-8")
    with pytest.raises(FileError, match="line 3 that is never closed"):
        read(path, spool)


cell = st.text(st.sampled_from('ab1 é,;"\n\r.'), max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(cell, min_size=1, max_size=4), max_size=12), st.sampled_from(["\n", "\r\n"]), st.integers(1, 40)
)
def test_the_fast_road_and_the_csv_module_agree(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]], ending: str, block: int
) -> None:
    """Random files, mostly ragged and quoted, in blocks of a few bytes: same records, same lines as csv.reader."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=ending)
    writer.writerow(KEYS)
    writer.writerows(records)
    folder = tmp_path_factory.mktemp("agree")
    path = folder / "x.csv"
    path.write_bytes(buffer.getvalue().encode())

    source = io.StringIO(buffer.getvalue(), newline="")
    next(reader := csv.reader(source))
    rows: list[tuple[object, ...]] = []
    ragged = []
    line = 2
    for record in reader:
        if len(record) == len(KEYS):
            rows.append((line, *record))
        elif record:
            ragged.append((line, tuple(record)))
        line = 1 + _lines_before(buffer.getvalue(), source.tell())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_BYTES", block)
        (folder / "spool").mkdir()
        assert read(path, folder / "spool") == (rows, ragged)


def _lines_before(text: str, position: int) -> int:
    return len(delimited._split_lines(text[:position].encode()))


def test_a_block_with_one_line_too_long_and_one_too_short_is_not_read_fast() -> None:
    assert delimited._read_fast(b"1,2,3,4\n5,6\n", ",", KEYS) is None
    assert delimited._read_fast(b'"1",2,3,4\n5,"6"\n', ",", KEYS) is None
    assert delimited._read_fast(b'1,"2\n3",4\n', ",", KEYS) is None
    fast = delimited._read_fast(b'1,"a ""b"", c",3\n4,5,\n', ",", KEYS)
    assert fast is not None
    assert fast.rows() == [("1", 'a "b", c', "3"), ("4", "5", None)]
