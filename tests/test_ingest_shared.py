"""Data nobody here wrote, and the simulated company, through mapping files alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import pipelines.ingest
from pipelines.ingest import FileReport
from pipelines.ingest.sources import as_one_form
from pipelines.progress import Silent
from pipelines.simulate import simulate
from tests.test_ingest import Bench

ADVENTUREWORKS = Path(pipelines.ingest.__file__).parent / "mappings" / "examples" / "adventureworks.toml"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def counts(reports: list[FileReport]) -> dict[str, tuple[str, int, int]]:
    return {
        report.mapping_name or report.file_name: (report.status, report.accepted_count, report.rejected_count)
        for report in reports
    }


def test_regional_sales_lands_whole_through_the_dynamics_preset(bench: Bench, shared: Path) -> None:
    reports = bench.ingest(shared / "data" / "regional_sales")
    assert counts(reports) == {
        "accounts.csv": ("skipped", 0, 0),
        "campaigns.csv": ("skipped", 0, 0),
        "dynamics/numbered_opportunity": ("landed", 20_000, 0),
        "dynamics/numbered_owner": ("landed", 20, 0),
        "dynamics/named_manager": ("landed", 3, 0),
        "products.csv": ("skipped", 0, 0),
        "territories.csv": ("skipped", 0, 0),
    }
    rows = bench.rows("opportunities")
    outcome = rows.group_by("is_won", "is_closed").len().sort("is_won", "is_closed").rows()
    assert outcome == [(False, False, 5_333), (False, True, 7_385), (True, True, 7_282)]
    first = rows.row(0, named=True)
    assert (first["opportunity_id"], first["owner_id"], first["stage"]) == ("14079", "4", "1-Qualify")
    assert (first["amount"], first["probability_rate"]) == (Decimal("4545.00"), 0.1)
    assert (first["created_on"], first["close_on"]) == (date(2021, 8, 17), date(2021, 11, 1))
    people = bench.rows("people")
    managers = set(people["manager_id"].drop_nulls())
    assert managers == {"Amelie Garner", "Ethan Brooks", "Peyton Davis"}
    assert managers <= set(people["person_id"]), "a manager named only by name is a person of that name"
    assert set(rows["owner_id"]) <= set(people["person_id"])


def test_adventureworks_lands_as_records_and_quotas_by_its_mapping_file(bench: Bench, shared: Path) -> None:
    reports = bench.ingest(shared / "data" / "adventureworks", mapping=str(ADVENTUREWORKS))
    by_layout = {name.split("/")[-1].split("@")[0]: count for name, count in counts(reports).items()}
    assert by_layout == {
        "monthly": ("landed", 539, 0),
        "oltp_SalesPersonQuotaHistory.tsv": ("skipped", 0, 0),  # it has no header
        "quarterly": ("landed", 163, 0),
        "wide_targets": ("landed", 809, 0),
        "adventureworks": ("landed", 18, 0),
    }
    quarterly = bench.rows("forecast_records").filter(pl.col("load_id") == 2)
    first = quarterly.row(0, named=True)
    assert (first["forecaster_id"], first["period_start_on"], first["layer"]) == ("272", date(2017, 7, 1), "manager")
    assert (first["forecast_amount"], first["actual_amount"]) == (Decimal("28000.00"), Decimal("22584.66"))
    assert set(quarterly["layer"]) == {"rep", "manager"}
    target = bench.rows("quotas").filter(pl.col("person_id") == "61161660").row(0, named=True)
    assert (target["period_start_on"], target["amount"]) == (date(2017, 7, 1), Decimal("200000.00"))


def test_connector_shaped_tables_land_through_the_presets(bench: Bench, shared: Path) -> None:
    found = counts(bench.ingest(shared / "data" / "crm_shapes"))
    assert {name: count for name, count in found.items() if count[0] == "landed"} == {
        "hubspot/connector_deal": ("landed", 0, 44),  # neither stage nor close date in any row
        "hubspot/owner": ("landed", 100, 0),
        "hubspot/pipeline_stage": ("landed", 71, 0),
        "hubspot/property_history": ("landed", 0, 0),  # scrambled property names: none is tracked
        "salesforce/history_mode": ("landed", 9, 1),
        "salesforce/history_mode_latest": ("landed", 0, 1),  # equal to what the table of opportunities brought
        "salesforce/opportunity": ("landed", 9, 1),  # one probability of 1,000 %
        "salesforce/user": ("landed", 10, 0),
    }
    skipped = {name for name, count in found.items() if count[0] != "landed"}
    assert skipped == {"hubspot_deal_pipeline_data.csv", "sf_user_role_data.csv"}


def test_both_layouts_of_the_simulated_company_land_the_same_facts(tmp_path: Path) -> None:
    landed: dict[str, dict[str, pl.DataFrame]] = {}
    for layout in ("canonical", "salesforce"):
        out = tmp_path / layout
        simulate(out, reps=6, quarters=3, seed=5, layout=layout, progress=Silent())
        bench = Bench(tmp_path / f"bench-{layout}")
        files = sorted(path for path in out.glob("*.csv"))
        reports = bench.ingest(*files)
        assert {report.status for report in reports} == {"landed"}, [report.problem for report in reports]
        tables = (
            "opportunities",
            "opportunity_history",
            "forecast_submissions",
            "quotas",
            "bookings",
            "stages",
            "leads",
        )
        landed[layout] = {table: bench.rows(table) for table in tables}
        rules = {entry[1] for entry in bench.rejected()}
        assert rules <= {"missing", "not_money", "date_out_of_range", "duplicate_id"}
    for table, canonical in landed["canonical"].items():
        salesforce = landed["salesforce"][table]
        assert canonical.height == salesforce.height > 0, table
        key = canonical.columns[0]
        # Exports of either layout give ids of 15 characters; Salesforce's own are brought to one form.
        assert set(as_one_form(canonical[key])) == set(as_one_form(salesforce[key])), table
        money = "amount"
        if money in canonical.columns:
            assert canonical[money].sum() == salesforce[money].sum(), table


def test_the_salesforce_report_says_what_the_object_export_says(tmp_path: Path) -> None:
    simulate(tmp_path / "out", reps=6, quarters=3, seed=5, layout="salesforce", progress=Silent())
    columns = ["opportunity_id", "owner_id", "close_on", "stage", "amount", "currency", "probability_rate", "is_won"]
    seen = []
    for number, name in enumerate(("Opportunity.csv", "reports/opportunities_report.csv")):
        bench = Bench(tmp_path / str(number))
        (report,) = bench.ingest(tmp_path / "out" / name)
        assert report.status == "landed"
        seen.append(bench.rows("opportunities").select(columns).sort("opportunity_id"))
    both = seen[0].join(seen[1], on="opportunity_id", suffix="_report")
    assert both.height == seen[1].height > 0.9 * seen[0].height
    for column in columns[1:]:
        assert both[column].to_list() == both[f"{column}_report"].to_list(), column
