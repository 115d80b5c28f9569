"""What an edition says to finance, of a simulated company and of months by pencil."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import runs
from pipelines.finance_contracts import BOOK_STEPS
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.test_pairs import call, won
from tests.warehouse_help import at, land_all


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("finance") / "workspace")
    runs.demo(workspace, Silent(), reps=10, quarters=8, seed=7)
    return workspace


@pytest.fixture(scope="module")
def ref(company: Workspace) -> EditionRef:
    found = editions.current(company)
    assert found is not None
    return found


def test_every_call_of_the_simulated_company_ties_to_the_books(ref: EditionRef) -> None:
    table = editions.read(ref, "call_bookings")
    told = table.filter(pl.col("status") == "ok")
    assert told.height > 0.8 * table.height
    assert set(told["layer"]) == {"rep", "manager", "executive"}
    way = told.select(
        pl.sum_horizontal("call_amount", "miss_amount", *BOOK_STEPS) - pl.col("booked_amount")
    ).to_series()
    assert set(way) == {Decimal("0.00")}
    for step in ("from_other_periods_amount", "to_other_periods_amount", "unbooked_amount"):
        assert (told.filter(pl.col("forecaster_id") == "company")[step] != 0).any(), step


def test_what_closed_won_is_the_actual_that_callers_are_measured_by(ref: EditionRef) -> None:
    pairs = editions.read(ref, "forecast_pairs", where={"week_of_period": ref.lock_week, "status": "closed"})
    key = ["layer", "forecaster_id", "period_start_on", "category"]
    both = editions.read(ref, "call_bookings").join(pairs, on=key)
    assert both.height == pairs.height
    assert both.filter(pl.col("crm_amount") != pl.col("actual_amount")).is_empty()
    assert both.filter(pl.col("call_amount") != pl.col("forecast_amount")).is_empty()


def test_with_the_books_as_actual_the_booked_amount_is_what_callers_are_measured_by(company: Workspace) -> None:
    company.settings_file.write_text('actual_source = "bookings"\n')
    try:
        booked = runs.publish(company, Silent())
    finally:
        company.settings_file.unlink()
        runs.publish(company, Silent())
    pairs = editions.read(booked, "forecast_pairs", where={"week_of_period": booked.lock_week, "status": "closed"})
    both = editions.read(booked, "call_bookings").join(
        pairs, on=["layer", "forecaster_id", "period_start_on", "category"]
    )
    assert both.height > 50
    assert both.filter(pl.col("booked_amount") != pl.col("actual_amount")).is_empty()
    assert all(finding.ok for finding in editions.verify(booked))
    backtest = editions.read(booked, "landing_backtest", where={"scope": "company"})
    projected = editions.read(booked, "projection", where={"scope": "company", "span_kind": "period"})
    landed = dict(projected.select("period_start_on", "booked_amount").iter_rows())
    judged = [(landed[s], a) for s, a in backtest.select("period_start_on", "actual_amount").iter_rows() if s in landed]
    assert judged
    assert all(one == other for one, other in judged), "past ranges are judged by what was booked"
    steps = editions.read(booked, "projection_bridge", where={"scope": "company", "step": "carry"})
    middle = editions.read(booked, "landing", where={"scope": "company", "method": "combined"})["estimate"][0]
    assert set(steps["amount"]) == {middle}


def test_the_projection_agrees_with_the_pages_it_stands_beside(ref: EditionRef) -> None:
    spans = editions.read(ref, "projection", where={"scope": "company"})
    running = spans.filter(pl.col("span_start_on") == ref.open_period_start_on, pl.col("span_kind") == "period")
    landing = editions.read(ref, "landing", where={"scope": "company", "method": "combined"})
    for level in (50, 80, 90):
        row = landing.filter((pl.col("level") - level / 100).abs() < 1e-9).row(0, named=True)
        for side in ("lower", "upper"):
            assert running[f"{side}_{level}"][0] == row[side]
    assert running["plan_amount"][0] == landing["quota_amount"][0]
    assert running["call_amount"][0] == landing["call_amount"][0]
    won_rows = editions.read(ref, "reconciliation", where={"record_kind": "opportunity"})
    landed = dict(won_rows.group_by("period_start_on").agg(pl.col("crm_amount").sum()).iter_rows())
    whole = spans.filter(pl.col("span_kind") == "period", "is_closed")
    assert whole.height > 5
    assert all(landed[start] == crm for start, crm in whole.select("period_start_on", "crm_amount").iter_rows())
    months = spans.filter(pl.col("span_kind") == "month", pl.col("period_start_on") == ref.open_period_start_on)
    assert set(months["status"]) == {"split"}
    assert months["estimate"].sum() == running["estimate"][0]


def test_the_number_to_carry_has_every_step_with_its_periods(ref: EditionRef) -> None:
    steps = editions.read(ref, "projection_bridge", where={"scope": "company", "layer": "rep", "category": "commit"})
    told = {row["step"]: row for row in steps.iter_rows(named=True)}
    assert all(row["status"] == "ok" for row in told.values())
    assert all(told[name]["period_count"] >= 4 for name in ("lean", "timing", "bookings_lag", "currency"))
    assert told["carry"]["lower"] < told["carry"]["amount"] < told["carry"]["upper"]
    landing = editions.read(ref, "landing", where={"scope": "company", "method": "combined"})
    assert told["landing"]["amount"] == landing["estimate"][0]


@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        ("update call_bookings set booked_amount = booked_amount + 0.01 where status = 'ok'", "a call, its miss"),
        ("update projection_bridge set amount = amount + 0.01 where step = 'lean'", "the steps from call"),
        ("update projection_bridge set amount = amount + 0.01 where step = 'carry'", "the steps from call"),
        ("update projection set crm_amount = crm_amount + 0.01 where span_kind = 'month'", "months add up"),
    ],
)
def test_a_cent_out_of_place_is_found(ref: EditionRef, tmp_path: Path, damage: str, broken: str) -> None:
    copy = tmp_path / ref.path.name
    copy.write_bytes(ref.path.read_bytes())
    with duckdb.connect(str(copy)) as con:
        con.execute(damage)
    found = [finding.name for finding in editions.verify(EditionRef(**{**vars(ref), "path": copy})) if not finding.ok]
    assert any(name.startswith(broken) for name in found)


def test_without_a_booking_or_a_range_the_rest_is_still_told(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "small")
    land_all(place, {"opportunities": [won("a1", amount=100)], "forecast_submissions": [call()]})
    ref = runs.publish(place, Silent(), as_of=at("2026-10-20"))
    assert editions.read(ref, "call_bookings").is_empty()
    spans = editions.read(ref, "projection", where={"span_kind": "period"})
    row = spans.filter(pl.col("span_start_on") == date(2026, 7, 1)).row(0, named=True)
    assert (row["crm_amount"], row["booked_amount"], row["status"]) == (Decimal(100), None, "no_range")
    assert all(finding.ok for finding in editions.verify(ref))


def test_months_are_summed_to_quarters_of_the_fiscal_year(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "months")
    calls = [call(period_start_on=f"2026-0{m}-01", submitted_at=f"2026-0{m}-02", amount=10 * m) for m in (4, 5, 6, 7)]
    deals = [won(f"d{m}", amount=m, close_on=f"2026-0{m}-15", created_on="2026-03-01") for m in (4, 5, 6)]
    land_all(place, {"opportunities": deals, "forecast_submissions": calls})
    ref = runs.publish(place, Silent(), as_of=at("2026-07-20"))
    assert ref.period_kind == "month"
    spans = editions.read(ref, "projection", where={"scope": "company"})
    quarter = spans.filter(pl.col("span_kind") == "quarter", pl.col("span_start_on") == date(2026, 4, 1))
    assert quarter.select("crm_amount", "call_amount", "is_closed").row(0) == (Decimal(15), Decimal(150), True)
    assert spans.filter(pl.col("span_kind") == "month").is_empty()
