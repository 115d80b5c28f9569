"""Nonsense in: two clear sentences or quarantined rows, never a traceback, and the earlier landing intact."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from pipelines.ingest import exports
from tests.test_ingest import OPPORTUNITIES, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    own = Bench(tmp_path)
    own.one("good.csv", OPPORTUNITIES)
    return own


def zipped(content: bytes | str, name: str = "o.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def encrypted_zip() -> bytes:
    """A zip whose member says that it is encrypted, in both of its headers."""
    content = bytearray(zipped(OPPORTUNITIES))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


def damaged_member() -> bytes:
    content = bytearray(zipped(os.urandom(4000)))
    content[200] ^= 0xFF
    return bytes(content)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
NONSENSE: dict[str, tuple[str, Callable[[], bytes | str], str]] = {
    "an image": ("photo.csv", lambda: PNG, "PNG image"),
    "a PDF": ("doc.csv", lambda: b"%PDF-1.7\n", "PDF"),
    "an empty file": ("empty.csv", lambda: "", "empty"),
    "only empty lines": ("blank.csv", lambda: "\n\n\n", "no header"),
    "prose": ("prose.txt", lambda: "It was the best of times.\nIt was the worst of times.\n", "no header"),
    "random bytes": ("noise.csv", lambda: bytes(range(256)) * 40, "not text"),
    "10,000 columns": ("wide.csv", lambda: ",".join(f"c{at}" for at in range(10_000)) + "\n", "10,000 columns"),
    "a truncated zip": ("cut.zip", lambda: zipped(OPPORTUNITIES)[:-30], "cut short"),
    "a damaged member": ("bad.zip", damaged_member, "damaged"),
    "an empty zip": ("none.zip", lambda: b"PK\x05\x06" + b"\0" * 18, "without any file"),
    "a password": ("secret.zip", encrypted_zip, "password"),
    "zips in zips": ("deep.zip", lambda: zipped(zipped(zipped(OPPORTUNITIES), "b.zip"), "a.zip"), "zip inside a zip"),
    "a zip bomb": ("bomb.zip", lambda: zipped(b"0" * (80 << 20)), "unpacks to more"),
    "a truncated workbook": ("cut.xlsx", lambda: workbook()[:2000], "cut short"),
    "an empty workbook": ("empty.xlsx", workbook, "without anything"),
    "no workbook": ("fake.xlsx", lambda: OPPORTUNITIES, "not a whole zip"),
    "an old protected workbook": (
        "old.xls",
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "Excel workbook",
    ),
    "no Parquet": ("fake.parquet", lambda: b"PAR1 and no more", "Parquet"),
    "no JSON lines": ("fake.jsonl", lambda: "[1, 2]\n", "not JSON lines"),
    "a JSON document": ("doc.json", lambda: '{\n "a": 1\n}\n', "not JSON lines"),
    "an open quote": ("quote.csv", lambda: OPPORTUNITIES + '3,"ann,2026\n' + "x,y\n" * 10, "never closed"),
    "an unknown header": ("what.csv", lambda: "alpha,beta\n1,2\n", "not recognised"),
    "a column missing": ("less.csv", lambda: OPPORTUNITIES.replace("owner_id", "ownr"), "owner_id"),
}


@pytest.mark.parametrize(("name", "content", "says"), NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_ends_in_two_sentences_and_changes_nothing(
    bench: Bench, name: str, content: Callable[[], bytes | str], says: str
) -> None:
    before = bench.rows("opportunities")
    report = bench.one(name, content())
    assert report.status == "failed"
    assert says in (report.problem or "")
    for sentence in (report.problem, report.remedy):
        assert sentence
        assert sentence.endswith(".")
        assert not re.search(r"Traceback|Error\(|<class", sentence)
    assert bench.rows("opportunities").equals(before)
    assert bench.rejected() == []


def test_the_misspelt_column_is_named_with_what_was_wanted_and_found(bench: Bench) -> None:
    report = bench.one("less.csv", OPPORTUNITIES.replace("owner_id", "ownr_id"))
    assert "also needs owner_id" in (report.problem or "")
    assert "ownr_id" in (report.problem or "")
    assert "'ownr_id' may be owner_id" in (report.remedy or "")


def test_a_header_alone_is_a_table_without_rows(bench: Bench) -> None:
    report = bench.one("header.csv", OPPORTUNITIES.splitlines()[0] + "\n")
    assert (report.status, report.accepted_count) == ("landed", 0)


def test_one_bad_file_does_not_stop_the_others(bench: Bench) -> None:
    paths = [
        bench.write("a.csv", PNG),
        bench.folder / "missing.csv",
        bench.write("b.csv", "person_id,name\nann,Ann\n"),
    ]
    assert [report.status for report in bench.ingest(*paths)] == ["failed", "failed", "landed"]


def test_links_and_devices_are_not_files(bench: Bench) -> None:
    (bench.folder / "in").mkdir()
    (bench.folder / "in" / "link.csv").symlink_to(bench.folder / "good.csv")
    (bench.folder / "in" / "loop").symlink_to(bench.folder / "in")
    (bench.folder / "dangling.csv").symlink_to(bench.folder / "nowhere")
    os.mkfifo(bench.folder / "pipe.csv")
    reports = bench.ingest(bench.folder / "in", bench.folder / "dangling.csv", bench.folder / "pipe.csv")
    assert [report.status for report in reports] == ["failed", "skipped", "failed", "failed"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_error(bench: Bench) -> None:
    path = bench.write("private.csv", OPPORTUNITIES)
    path.chmod(0)
    assert [report.status for report in bench.ingest(path)] == ["failed"]


def test_a_zip_is_judged_by_what_comes_out_of_it_not_by_what_it_declares(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MAX_UNZIPPED_BYTES", 100)
    report = bench.one("big.zip", zipped(OPPORTUNITIES))
    assert report.status == "failed"


def test_a_line_that_is_no_json_is_a_rejected_row(bench: Bench) -> None:
    report = bench.one(
        "p.jsonl", '{"person_id": "ann", "name": "Ann"}\nnonsense\n{"person_id": "bob", "name": "Bob"}\n'
    )
    assert (report.accepted_count, report.rejected_count) == (2, 1)
    assert bench.rejected()[0][:2] == (2, "not_json")


def test_a_column_that_occurs_twice_is_a_question(bench: Bench) -> None:
    report = bench.one("t.csv", "person_id,name,name\nann,Ann,Anne\n")
    assert report.status == "failed"
    assert "'name' more than once" in (report.problem or "")


def test_a_rate_too_large_for_its_type_is_a_rejected_row(bench: Bench) -> None:
    report = bench.one(
        "fx.csv", "currency,valid_from_on,rate_to_reporting\nEUR,2026-01-01,123456789012345\nJPY,2026-01-01,0\n"
    )
    assert report.rejected_count == 2
    assert {entry[1] for entry in bench.rejected()} == {"out_of_range"}


def test_a_databases_null_is_nothing_except_in_a_name(bench: Bench) -> None:
    bench.one("p.csv", "person_id,name,manager_id,hired_on\nann,Null,NULL,NULL\n")
    row = bench.rows("people").row(0, named=True)
    assert (row["name"], row["manager_id"], row["hired_on"]) == ("Null", None, None)


def test_a_file_whose_name_is_no_text_is_still_a_file(bench: Bench) -> None:
    path = os.fsencode(bench.folder) + b"/bad\xff.csv"
    Path(os.fsdecode(path)).write_text("person_id,name\nann,Ann\n", encoding="utf-8")
    assert [report.status for report in bench.ingest(Path(os.fsdecode(path)))] == ["landed"]


def test_duplicate_ids_leave_one_row_in_force_and_say_which_went(bench: Bench) -> None:
    report = bench.one(
        "d.csv",
        "opportunity_id,owner_id,created_on,close_on,stage,modified_at\n"
        "9,ann,2026-01-05,2026-03-01,New,2026-01-07T00:00:00Z\n"
        "9,ann,2026-01-05,2026-03-01,Old,2026-01-06T00:00:00Z\n",
    )
    assert (report.accepted_count, report.rejected_count) == (1, 1)
    assert bench.rejected()[0][:2] == (3, "duplicate_id")


def test_a_booking_without_an_id_is_set_aside_with_its_money_and_of_two_with_one_id_the_last_line_counts(
    bench: Bench,
) -> None:
    report = bench.one(
        "b.csv",
        "booking_id,booked_on,amount,account_name\n"
        ",2026-01-05,100.00,Acme\n"
        "b1,2026-01-06,40.00,Acme\n"
        "b1,2026-01-06,45.00,Acme\n",
    )
    assert (report.accepted_count, report.rejected_count) == (1, 2)
    assert {(row[0], row[1]) for row in bench.rejected()} == {(2, "missing"), (3, "duplicate_id")}
    assert report.rejected_amount == Decimal("140.00")
