"""Files in, landing out: every format, recognition, quarantine, and each file for itself."""

# ruff: noqa: DTZ001 (instants are UTC without a zone throughout)

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import MappingError
from pipelines.ingest import FileReport, ingest_paths
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse.landing import Landing

OPPORTUNITIES = """\
opportunity_id,owner_id,created_on,close_on,stage,amount,probability_rate,is_won
1,ann,2026-01-05,2026-03-01,Won,1234.50,1,true
2,bob,2026-02-05,2026-04-01,Open,99,0.35,false
"""


class Bench:
    """A workspace, and short words for what tests do with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace.at(folder / "workspace")

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def ingest(
        self,
        *paths: Path,
        table: str | None = None,
        mapping: str | None = None,
        extracted_at: datetime | None = None,
    ) -> list[FileReport]:
        return ingest_paths(
            self.workspace, paths, table=table, mapping=mapping, extracted_at=extracted_at, progress=Silent()
        )

    def one(
        self, name: str, content: str | bytes, *, table: str | None = None, mapping: str | None = None
    ) -> FileReport:
        (report,) = self.ingest(self.write(name, content), table=table, mapping=mapping)
        return report

    def rows(self, table: str) -> pl.DataFrame:
        with Landing.open(self.workspace) as landing:
            return landing.rows(table)

    def rejected(self) -> list[tuple[int, str, str | None, str | None, Decimal | None]]:
        with Landing.open(self.workspace) as landing:
            columns = ("line", "rule", "column_name", "value", "amount")
            return sorted(landing.rejected_rows().select(columns).rows(), key=str)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def records() -> Iterator[dict[str, object]]:
    yield {"opportunity_id": "1", "owner_id": "ann", "created_on": date(2026, 1, 5), "close_on": date(2026, 3, 1),
           "stage": "Won", "amount": 1234.5, "probability_rate": 1.0, "is_won": True}  # fmt: skip
    yield {"opportunity_id": "2", "owner_id": "bob", "created_on": date(2026, 2, 5), "close_on": date(2026, 4, 1),
           "stage": "Open", "amount": 99, "probability_rate": 0.35, "is_won": False}  # fmt: skip


def as_excel(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Pipeline of the day"])
    sheet.append(list(next(records())))
    for record in records():
        sheet.append(list(record.values()))
    book.create_sheet("Empty")
    book.save(path)


def as_json_lines(path: Path) -> None:
    path.write_text("".join(json.dumps(record, default=str) + "\n" for record in records()), encoding="utf-8")


def as_parquet(path: Path) -> None:
    pl.DataFrame([{**record, "amount": float(str(record["amount"]))} for record in records()]).write_parquet(path)


def as_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("deep/../er/opps.csv", OPPORTUNITIES)
        archive.writestr("__MACOSX/._opps.csv", "junk")
        archive.writestr("truth/secret.csv", OPPORTUNITIES)


def as_tsv(path: Path) -> None:
    path.write_text(OPPORTUNITIES.replace(",", "\t"), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "write"),
    [("o.xlsx", as_excel), ("o.jsonl", as_json_lines), ("o.parquet", as_parquet), ("o.zip", as_zip), ("o.tsv", as_tsv)],
)
def test_every_format_lands_the_same_rows(bench: Bench, name: str, write: Callable[[Path], None]) -> None:
    write(bench.folder / name)
    (report,) = bench.ingest(bench.folder / name)
    assert (report.status, report.table_name, report.accepted_count, report.rejected_count) == (
        "landed",
        "opportunities",
        2,
        0,
    )
    rows = bench.rows("opportunities").select("opportunity_id", "created_on", "amount", "probability_rate", "is_won")
    assert rows.rows() == [
        ("1", date(2026, 1, 5), Decimal("1234.50"), 1.0, True),
        ("2", date(2026, 2, 5), Decimal("99.00"), 0.35, False),
    ]


def test_lines_are_those_of_the_file_in_every_format(bench: Bench) -> None:
    expected = {"o.csv": [2, 3], "o.xlsx": [3, 4], "o.jsonl": [1, 2], "o.parquet": [1, 2]}
    for name, write in {"o.xlsx": as_excel, "o.jsonl": as_json_lines, "o.parquet": as_parquet}.items():
        write(bench.folder / name)
    bench.write("o.csv", OPPORTUNITIES)
    for name, lines in expected.items():
        own = Bench(bench.folder / name.replace(".", "_"))
        own.ingest(bench.folder / name)
        assert own.rows("opportunities")["line"].to_list() == lines, name


def test_each_sheet_of_a_workbook_is_a_table(bench: Bench) -> None:
    book = openpyxl.Workbook()
    people = book.active
    assert people is not None
    people.title = "People"
    for row in (["person_id", "name", "hired_on"], ["ann", "Ann", datetime(2020, 4, 3)]):
        people.append(row)
    quotas = book.create_sheet("Quotas")
    for line in (["person_id", "period_start_on", "amount"], ["ann", datetime(2026, 1, 1), 45000]):
        quotas.append(line)
    book.save(bench.folder / "b.xlsx")
    reports = bench.ingest(bench.folder / "b.xlsx")
    assert [(report.file_name, report.table_name, report.status) for report in reports] == [
        ("b.xlsx[People]", "people", "landed"),
        ("b.xlsx[Quotas]", "quotas", "landed"),
    ]
    assert bench.rows("people")["hired_on"].to_list() == [date(2020, 4, 3)]
    assert [report.status for report in bench.ingest(bench.folder / "b.xlsx")] == ["unchanged", "unchanged"]


def test_a_typed_number_has_a_point_for_certain_even_with_three_decimals(bench: Bench) -> None:
    record = {"booking_id": "b1", "booked_on": "2026-01-05", "amount": 1.235}
    report = bench.one("b.jsonl", json.dumps(record) + "\n")
    assert (report.status, report.notes) == ("landed", ("1 value of amount rounded to cents.",))
    assert bench.rows("bookings")["amount"].to_list() == [Decimal("1.24")]


@pytest.mark.parametrize("table", sorted(INPUT_TABLES))
def test_every_table_is_recognised_from_its_canonical_header(bench: Bench, table: str) -> None:
    contract = INPUT_TABLES[table]
    # A state has to say something of the deal.
    fewest = (*contract.required, "stage") if table == "opportunity_states" else contract.required
    for columns in dict.fromkeys((contract.columns, fewest)):
        report = bench.one(f"{len(columns)}.csv", ",".join(columns) + "\n")
        assert (report.status, report.table_name, report.accepted_count) == ("landed", table, 0), report.problem


def test_the_same_file_again_is_a_no_op_and_a_zip_of_it_too(bench: Bench) -> None:
    path = bench.write("o.csv", OPPORTUNITIES)
    assert [report.status for report in bench.ingest(path)] == ["landed"]
    with zipfile.ZipFile(bench.folder / "o.zip", "w") as archive:
        archive.write(path, "inside.csv")
    assert [report.status for report in bench.ingest(path, bench.folder / "o.zip")] == ["unchanged", "unchanged"]
    assert bench.rows("opportunities").height == 2


def test_a_bad_row_is_kept_with_every_rule_it_broke_and_its_money_once(bench: Bench) -> None:
    report = bench.one(
        "o.csv",
        "opportunity_id,owner_id,created_on,close_on,stage,amount,forecast_category,is_won,probability_rate\n"
        "1,ann,2026-01-05,2026-03-01,Won,10.00,Best Case,yes,0.5\n"
        "2,,2026-01-05,2206-03-01,Won,20.00,Wishful,maybe,7\n"
        "3,ann,yesterday,2026-03-01,Won,TBD,,,\n"
        "4,ann,2026-01-05\n"
        '5,ann,2026-01-05,2026-03-01,Won,"=HYPERLINK(""http://x"",""y"")",,,\n'
        "6,ann,2026-01-05,2026-03-01,Won,99999999999999,,,\n"
        "7,ann,2026-01-05,2026-03-01,=1+1,-5.00,,,\n",
    )
    assert (report.accepted_count, report.rejected_count, report.rejected_amount) == (2, 5, Decimal("20.00"))
    assert bench.rejected() == sorted(
        [
            (3, "missing", "owner_id", None, None),
            (3, "date_out_of_range", "close_on", "2206-03-01", Decimal("20.00")),
            (3, "not_one_of", "forecast_category", "Wishful", None),
            (3, "not_true_or_false", "is_won", "maybe", None),
            (3, "out_of_range", "probability_rate", "7", None),
            (4, "not_a_date", "created_on", "yesterday", None),
            (4, "not_money", "amount", "TBD", None),
            (5, "wrong_number_of_fields", None, "3 fields: 4 | ann | 2026-01-05", None),
            (6, "not_money", "amount", '=HYPERLINK("http://x","y")', None),
            (7, "amount_out_of_range", "amount", "99999999999999", None),
        ],
        key=str,
    )
    # A formula in a text column is text, never evaluated; a deal below zero is a downsell and stays.
    kept = bench.rows("opportunities").select("forecast_category", "stage", "amount").rows()
    assert kept == [("best_case", "Won", Decimal("10.00")), (None, "=1+1", Decimal("-5.00"))]


def test_calls_and_quotas_below_zero_are_refused_and_credits_are_not(bench: Bench) -> None:
    quota = bench.one("q.csv", "person_id,period_start_on,amount\nann,2026-01-01,-5\n")
    credit = bench.one("b.csv", "booking_id,booked_on,amount\nb1,2026-01-01,(5.00)\n")
    assert (quota.rejected_count, credit.accepted_count) == (1, 1)
    assert [entry[1] for entry in bench.rejected()] == ["negative_amount"]


def test_a_period_that_ends_before_it_starts_breaks_the_contracts_own_rule(bench: Bench) -> None:
    bench.one("p.csv", "period_start_on,period_end_on,label\n2026-01-01,2025-12-31,Q1\n2026-04-01,2026-06-30,Q2\n")
    assert bench.rejected() == [(2, "period_ends_after_it_starts", "period_end_on", "2025-12-31", None)]


def test_a_reports_closing_lines_are_left_out_and_a_short_row_inside_is_not(bench: Bench) -> None:
    footer = '\n"My report"\n"Copyright (c) 2000-2026 acme"\n"Grand Totals (2 records)"\n'
    report = bench.one("o.csv", OPPORTUNITIES + footer)
    padded = bench.one("p.csv", OPPORTUNITIES + "Grand Totals (2 records),,,,,,,\n")
    plain = bench.one("q.csv", OPPORTUNITIES + "\nMy report\n")
    assert (report.accepted_count, report.rejected_count, report.skipped_count) == (2, 0, 3)
    assert (padded.rejected_count, padded.skipped_count) == (0, 1)
    assert (plain.rejected_count, plain.skipped_count) == (1, 0)


def test_history_values_are_canonical_by_the_field_they_are_of(bench: Bench) -> None:
    report = bench.one(
        "h.csv",
        "opportunity_id,changed_at,field,old_value,new_value\n"
        '1,2026-01-05T10:00:00Z,amount,"1,000.00","$1,500.5"\n'
        "1,2026-01-05T10:00:00Z,close_on,25.12.2026,2027-01-31\n"
        "1,2026-01-06T10:00:00Z,Forecast Category,Best Case,Commit\n"
        "1,2026-01-06T10:00:00Z,stage,Qualify,Propose\n"
        "1,2026-01-07T10:00:00Z,amount,1500.50,\n"
        "1,2026-01-07T10:00:00Z,close_on,2027-01-31,later\n"
        "1,2026-01-07T10:00:00Z,colour,red,blue\n",
    )
    assert (report.accepted_count, report.rejected_count, report.skipped_count) == (5, 1, 1)
    assert bench.rows("opportunity_history").select("field", "old_value", "new_value").rows() == [
        ("amount", "1000.00", "1500.50"),
        ("close_on", "2026-12-25", "2027-01-31"),
        ("forecast_category", "best_case", "commit"),
        ("stage", "Qualify", "Propose"),
        ("amount", "1500.50", None),
    ]
    assert bench.rejected() == [(7, "not_a_date", "new_value", "later", None)]


def test_dates_are_settled_by_their_column_or_refused(bench: Bench) -> None:
    head = "booking_id,booked_on,amount\n"
    settled = bench.one("a.csv", head + "1,03/04/2026,1\n2,13/04/2026,1\n")
    assert settled.status == "landed"
    assert bench.rows("bookings")["booked_on"].to_list() == [date(2026, 4, 3), date(2026, 4, 13)]

    open_question = bench.one("b.csv", head + "1,03/04/2026,1\n2,01/05/2026,1\n")
    assert open_question.status == "failed"
    assert "'03/04/2026' in booked_on on line 2" in (open_question.problem or "")
    assert "date_format" in (open_question.remedy or "")

    both_ways = bench.one("c.csv", head + "1,13/04/2026,1\n2,04/13/2026,1\n")
    assert both_ways.status == "landed"
    mixed = bench.one("d.csv", head + "1,13/04/2026,1\n2,04/13/2026,1\n3,01/02/2026,1\n")
    assert mixed.status == "failed"
    assert "both ways" in (mixed.problem or "")

    two_formats = bench.one("e.csv", head + "8,2026-04-13,1\n9,13.04.2026,1\n")
    assert (two_formats.status, two_formats.accepted_count) == ("landed", 2)


def test_the_remedy_for_an_ambiguous_date_works_as_written(bench: Bench) -> None:
    content = "booking_id,booked_on,amount\n1,03/04/2026,1\n"
    assert bench.one("b.csv", content).status == "failed"
    mapping = bench.write("mine.toml", 'extends = "generic"\ndate_format = "m/d/y"\n')
    assert bench.one("b.csv", content, mapping=str(mapping)).status == "landed"
    assert bench.rows("bookings")["booked_on"].to_list() == [date(2026, 3, 4)]


def test_money_is_settled_by_its_column_or_refused(bench: Bench) -> None:
    head = "booking_id;booked_on;amount\n"
    german = bench.one("a.csv", head + "1;2026-01-01;1.234\n2;2026-01-02;5,50\n3;2026-01-03;2.000,00\n")
    assert german.status == "landed"
    assert bench.rows("bookings")["amount"].to_list() == [Decimal("1234.00"), Decimal("5.50"), Decimal("2000.00")]
    refused = bench.one("b.csv", head + "1;2026-01-01;1.234\n2;2026-01-02;17\n")
    assert refused.status == "failed"
    assert "'1.234' in amount on line 2" in (refused.problem or "")


def test_a_currency_named_beside_the_amount_fills_an_empty_one(bench: Bench) -> None:
    bench.one(
        "b.csv",
        "booking_id,booked_on,amount,currency\n1,2026-01-01,€ 5.00,\n2,2026-01-01,5.00,usd\n3,2026-01-01,5.00,dollars\n"
        '4,2026-01-01,"$5.00",\n5,2026-01-01,GBP 5.00,EUR\n',
    )
    assert bench.rows("bookings")["currency"].to_list() == ["EUR", "USD", None, "EUR"]
    assert [entry[:4] for entry in bench.rejected()] == [(4, "not_a_currency", "currency", "dollars")]


def test_percentages_and_rates_are_told_apart_by_their_column(bench: Bench) -> None:
    head = "deal id,owner,created,close date,stage,probability\n"
    row = "{},ann,2026-01-05,2026-03-01,Open,{}\n"
    bench.one("p.csv", head + row.format(1, 35) + row.format(2, "100"))
    bench.one("r.csv", head + row.format(3, "0.35") + row.format(4, "35%"))
    assert bench.rows("opportunities")["probability_rate"].to_list() == [0.35, 1.0, 0.35, 0.35]
    both = bench.one("b.csv", head + row.format(5, "0.5") + row.format(6, "50"))
    assert both.status == "failed"
    canonical = head.replace("probability", "probability_rate")
    assert bench.one("c.csv", canonical + row.format(7, "0.5") + row.format(8, "50")).rejected_count == 1


def test_a_spreadsheet_with_everyday_headers_is_forecast_records(bench: Bench) -> None:
    report = bench.one("sheet.csv", "Rep,Quarter,Forecast,Actual\nAnn,Q3 2026,100,90\nBob,Q3 2026,50,\n")
    assert (report.table_name, report.accepted_count, report.rejected_count) == ("forecast_records", 1, 1)
    row = bench.rows("forecast_records").row(0, named=True)
    assert (row["period_start_on"], row["layer"], row["category"]) == (date(2026, 7, 1), "rep", "commit")


def test_an_extract_instant_is_written_to_rows_that_do_not_say(bench: Bench) -> None:
    at = datetime(2026, 11, 1)
    bench.ingest(bench.write("o.csv", OPPORTUNITIES), extracted_at=at)
    assert bench.rows("opportunities")["extracted_at"].to_list() == [at, at]


def test_a_folder_lands_what_it_can_and_says_what_it_did_not(bench: Bench) -> None:
    bench.write("in/b/opps.csv", OPPORTUNITIES)
    bench.write("in/accounts.csv", "Account,City\nAcme,Paris\n")
    bench.write("in/quotas.csv", "person_idd,period_start_on,amount\nann,2026-01-01,5\n")
    bench.write("in/readme.md", "hello")
    bench.write("in/truth/opps.csv", OPPORTUNITIES)
    bench.write("in/.hidden.csv", OPPORTUNITIES)
    reports = bench.ingest(bench.folder / "in")
    assert {report.file_name: report.status for report in reports} == {
        "accounts.csv": "skipped",
        "b/opps.csv": "landed",
        "quotas.csv": "failed",
        "readme.md": "skipped",
    }
    misspelt = next(report for report in reports if report.status == "failed")
    assert "person_id" in (misspelt.problem or "")
    assert "'person_idd' may be person_id" in (misspelt.remedy or "")


def test_as_and_mapping_narrow_what_a_file_may_be(bench: Bench) -> None:
    content = "person_id,period_start_on,amount,name\nann,2026-01-01,5,Ann\n"
    assert bench.one("x.csv", content).table_name == "quotas"
    assert bench.one("x.csv", content, table="people").table_name == "people"
    refused = bench.one("x.csv", content, table="bookings")
    assert (refused.status, "booking_id" in (refused.problem or "")) == ("failed", True)
    with pytest.raises(MappingError, match="no table 'peple'"):
        bench.one("x.csv", content, table="peple")


def test_a_header_that_fits_two_tables_is_a_question_for_a_person(bench: Bench) -> None:
    mapping = bench.write(
        "two.toml",
        '[layouts.a]\ntable = "stages"\ncolumns = { stage = "a", stage_order = "b", is_won = "c", is_closed = "c" }\n'
        '[layouts.b]\ntable = "people"\ncolumns = { person_id = "a", name = "b", role = "c" }\n',
    )
    report = bench.one("x.csv", "a,b,c\n1,2,true\n", mapping=str(mapping))
    assert report.status == "failed"
    assert "people or stages" in (report.problem or "")
    assert "--as" in (report.remedy or "")
