"""The mapping language: what it says is done, what it does not know is an error that names the nearest word."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import MappingError
from pipelines.ingest import mapping as language
from pipelines.ingest.mapping import PRESETS, load, parse, preset
from tests.test_ingest import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_gives_its_layouts_every_required_column(name: str) -> None:
    for layout in preset(name).layouts.values():
        assert set(INPUT_TABLES[layout.table].required) <= set(layout.columns), layout.name


def test_every_key_of_the_language_is_described() -> None:
    text = language.__doc__ or ""
    words = language._TOP | language._LAYOUT | language._COLUMN | language._CONDITION
    undescribed = {word for word in words if word not in text}
    assert undescribed == set()


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("x = [", "not valid TOML", "Correct that line"),
        ('extend = "generic"', "unknown key 'extend'", "Did you mean extends?"),
        ("", "has no layouts", "extends"),
        ('[layouts.a]\ntable = "opportunitys"', "'opportunitys'", "Did you mean opportunities?"),
        ('[layouts.a]\ntable = "people"\ncolums = {}', "unknown key 'colums'", "Did you mean columns?"),
        ('[layouts.a]\ntable = "people"\ncolumns = { nme = "x" }', "unknown key 'nme'", "Did you mean name?"),
        ('[layouts.a]\ntable = "people"\ncolumns = { name = { form = "x" } }', "unknown key 'form'", "from"),
        ('[layouts.a]\ntable = "people"\ncolumns = { name = { coalesce = true } }', "no source", "from"),
        ('[layouts.a]\ntable = "people"\ncolumns = { name = { from = "x", scale = "pct" } }', "'pct'", "percent"),
        ('[layouts.a]\ntable = "people"\ncolumns = { name = { from = "x", matches = "(" } }', "regular", "pattern"),
        ('[layouts.a]\ntable = "people"\nalso = ["b"]', "names 'b'", "Correct"),
        ('[layouts.a]\ntable = "people"\nskip = [{ column = "x" }]', "one test", "found_in"),
        ('extends = "generic"\ndate_format = "dd.mm.yyyy"', "'dd.mm.yyyy'", "d/m/y"),
        ('extends = "generic"\ndecimal = ";"', "';'", '","'),
        ('extends = "generic"\ntimezone = "Mars/Olympus"', "'Mars/Olympus'", "Europe/Berlin"),
        ('extends = "hubspott"', "no mapping 'hubspott'", "Did you mean hubspot?"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_with_its_remedy(text: str, problem: str, hint: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse(text, "mine", "mine.toml")
    assert problem in caught.value.problem
    assert hint in caught.value.remedy


def test_a_mapping_that_extends_another_adds_and_overrides() -> None:
    own = parse(
        'extends = "salesforce"\ndecimal = ","\n[values.forecast_category]\nUpside = "best_case"\n', "m", "m.toml"
    )
    assert own.decimal == ","
    assert own.values["forecast_category"]["upside"] == "best_case"
    assert own.values["forecast_category"]["forecast"] == "commit"
    assert set(own.layouts) == set(preset("salesforce").layouts)


def test_another_content_is_another_mapping_in_the_ledger(bench: Bench) -> None:
    file = bench.write("m.toml", 'extends = "generic"\n')
    first = load(str(file)).label
    file.write_text('extends = "generic"\ndecimal = "."\n', encoding="utf-8")
    assert load(str(file)).label != first


def test_everything_a_layout_can_say(bench: Bench) -> None:
    """One file through coalesce, lookup, extract, matches, multiply, conditions and every other word of a column."""
    mapping = bench.write(
        "all.toml",
        r"""
date_format = "%d~%m~%Y"
decimal = ","
missing = ["unknown"]
true = ["doch"]
symbols = { "$" = "USD" }

[layouts.deals]
table = "opportunities"
keep = [{ column = "Kind", matches = "^Deal" }]
skip = [{ column = "Test", in = ["yes"] }, { column = "Parent", found_in = "Id" }]
[layouts.deals.columns]
opportunity_id = { from = "Id", extract = "(\\d+)$" }
owner_id = { from = "Owner", lookup = { match = "Name", give = "Id", otherwise = "empty" }, default = "nobody" }
created_on = "Created"
close_on = { from = ["Actual", "Expected"], coalesce = true }
stage = { from = "Stage", map = { "zu" = "Closed" }, otherwise = "Open" }
amount = { from = "kEUR", multiply = 1000 }
probability_rate = { from = "P", scale = "percent" }
name = { template = "{Name} ({Kind})" }
is_won = "Won"
lead_source = { constant = "fair" }
sales_motion = { from = "Motion", otherwise = "empty" }
account_id = { from = "Account", matches = "^A" }
""",
    )
    report = bench.one(
        "x.csv",
        "Id;Name;Kind;Test;Parent;Owner;Created;Actual;Expected;Stage;kEUR;P;Won;Motion;Account\n"
        "D-1;Anna;Deal;no;;Anna;05~01~2026;;01~03~2026;zu;$1,5;35;doch;Transactional;A1\n"
        "D-2;Ben;Deal X;;;Zoe;05~01~2026;02~03~2026;01~03~2026;offen;unknown;50%;;Magic;A2\n"
        "D-3;Cem;Task;;;Anna;05~01~2026;;01~03~2026;zu;1;35;;;A3\n"
        "D-4;Dan;Deal;yes;;Anna;05~01~2026;;01~03~2026;zu;1;35;;;A4\n"
        "D-5;Eva;Deal;;D-1;Anna;05~01~2026;;01~03~2026;zu;1;35;;;A5\n"
        "D-6;Fay;Deal;;;Anna;05~01~2026;;01~03~2026;zu;1;35;;;B6\n",
        mapping=str(mapping),
    )
    assert (report.accepted_count, report.rejected_count, report.skipped_count) == (2, 0, 4), bench.rejected()
    assert report.notes[-1] == "1 value of sales_motion not understood and left empty."
    first, second = bench.rows("opportunities").rows(named=True)
    told = (
        "opportunity_id",
        "owner_id",
        "close_on",
        "stage",
        "amount",
        "currency",
        "probability_rate",
        "name",
        "is_won",
    )
    assert [first[name] for name in told] == [
        "1", "D-1", date(2026, 3, 1), "Closed", Decimal("1500.00"), "USD", 0.35, "Anna (Deal)", True,
    ]  # fmt: skip
    assert [second[name] for name in told] == [
        "2", "nobody", date(2026, 3, 2), "Open", None, None, 0.5, "Ben (Deal X)", None,
    ]  # fmt: skip
    assert (first["lead_source"], first["sales_motion"], second["sales_motion"]) == ("fair", "transactional", None)


def test_a_wide_sheet_in_thousands_becomes_one_row_per_month(bench: Bench) -> None:
    mapping = bench.write(
        "wide.toml",
        """
[layouts.wide]
table = "quotas"
unpivot = { headers = "(... 20..)", name = "Month", value = "Target" }
skip = [{ column = "Target", in = ["-"] }]
[layouts.wide.columns]
person_id = "Rep"
period_start_on = "Month"
amount = { from = "Target", multiply = 1000 }
""",
    )
    report = bench.one("w.csv", "Rep,Jan 2026,Feb 2026\nann,1.5,-\nbob,x,2\n", mapping=str(mapping))
    assert (report.accepted_count, report.rejected_count, report.skipped_count) == (2, 1, 1)
    rows = bench.rows("quotas").select("person_id", "period_start_on", "amount").rows()
    assert rows == [("ann", date(2026, 1, 1), Decimal("1500.00")), ("bob", date(2026, 2, 1), Decimal("2000.00"))]
    assert bench.rejected()[0][:4] == (3, "not_money", "amount", "x")


def test_hubspot_history_in_epoch_milliseconds_is_canonical(bench: Bench) -> None:
    report = bench.one(
        "deal_property_history.csv",
        "deal_id,timestamp,source,name,source_id,value\n"
        "7,2026-01-05 10:00:00.5,CRM_UI,dealstage,u1,closedwon\n"
        "7,2026-01-05 10:00:00.5,CRM_UI,closedate,u1,1767225600000\n"
        "7,2026-01-05 10:00:00.5,CRM_UI,hs_manual_forecast_category,u1,BEST_CASE\n"
        "7,2026-01-05 10:00:00.5,CRM_UI,amount,u1,5000\n"
        "7,2026-01-05 10:00:00.5,CRM_UI,hs_analytics_source,u1,PAID\n",
    )
    assert (report.mapping_name, report.accepted_count, report.skipped_count) == ("hubspot/property_history", 4, 1)
    assert bench.rows("opportunity_history").select("field", "new_value").rows() == [
        ("stage", "closedwon"),
        ("close_on", "2026-01-01"),
        ("forecast_category", "best_case"),
        ("amount", "5000.00"),
    ]


def test_dynamics_takes_the_actual_date_and_revenue_where_there_are_any(bench: Bench) -> None:
    report = bench.one(
        "opportunity.csv",
        "opportunityid,ownerid,createdon,estimatedclosedate,actualclosedate,estimatedvalue,actualvalue,stepname,statecode,"
        "closeprobability,msdyn_forecastcategory\n"
        "a,u1,2026-01-05T08:00:00Z,2026-03-01,2026-02-20,100,90.5,3-Close,1,100,100000005\n"
        "b,u1,2026-01-05T08:00:00Z,2026-03-01,,100,,1-Qualify,0,20,100000001\n",
    )
    assert (report.mapping_name, report.accepted_count) == ("dynamics/opportunity", 2)
    columns = ("close_on", "amount", "is_won", "is_closed", "probability_rate", "forecast_category")
    assert bench.rows("opportunities").select(columns).rows() == [
        (date(2026, 2, 20), Decimal("90.50"), True, True, 1.0, "closed"),
        (date(2026, 3, 1), Decimal("100.00"), False, False, 0.2, "pipeline"),
    ]


def test_salesforce_rates_are_turned_round_and_owner_changes_by_name_left_out(bench: Bench) -> None:
    bench.one(
        "DatedConversionRate.csv", "Id,IsoCode,StartDate,ConversionRate\n1,EUR,2026-01-01,0.8\n2,USD,2026-01-01,1\n"
    )
    assert bench.rows("fx_rates")["rate_to_reporting"].to_list() == [Decimal("1.25"), Decimal(1)]
    report = bench.one(
        "OpportunityFieldHistory.csv",
        "Id,OpportunityId,CreatedById,CreatedDate,Field,OldValue,NewValue\n"
        "1,0061,0051,2026-01-05T10:00:00.000+0000,Owner,Ann,Bob\n"
        "2,0061,0051,2026-01-05T10:00:00.000+0000,Owner,0051,0052\n"
        "3,0061,0051,2026-01-05T10:00:00.000+0000,created,,\n"
        "4,0061,0051,2026-01-06T10:00:00.000+0000,Probability,10,65\n",
    )
    assert (report.accepted_count, report.skipped_count) == (2, 2)
    assert bench.rows("opportunity_history").select("field", "old_value", "new_value").rows() == [
        ("owner_id", "0051", "0052"),
        ("probability_rate", "0.1", "0.65"),
    ]


def test_salesforce_tasks_on_other_records_are_left_out(bench: Bench) -> None:
    report = bench.one(
        "Task.csv",
        "Id,WhatId,Type,CallType,ActivityDate,CreatedDate\n"
        "1,006A,Call,Outbound,2026-01-05,2026-01-05T10:00:00Z\n2,001A,Call,Outbound,2026-01-05,2026-01-05T10:00:00Z\n",
    )
    assert (report.table_name, report.accepted_count, report.skipped_count) == ("activities", 1, 1)


def test_hubspot_labels_are_recognised(bench: Bench) -> None:
    report = bench.one(
        "hubspot-deals.csv",
        '"Record ID","Deal Name","Deal Stage","Close Date","Deal owner","Amount","Create Date"\n'
        '"77","Acme","Closed won","2026-03-01 10:22","Ann","5000","2026-01-05 09:00"\n',
    )
    assert (report.mapping_name, report.accepted_count) == ("hubspot/deals", 1)
    assert bench.rows("opportunities")["close_on"].to_list() == [date(2026, 3, 1)]
