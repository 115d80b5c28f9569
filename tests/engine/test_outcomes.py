"""Win, loss, no decision: counted exactly, ranked only beyond chance, and silent where too little is known."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from pipelines.engine.outcomes import OTHERS, outcome_reasons, win_loss
from pipelines.engine.shares import wilson
from pipelines.measures.outcomes import competitors

STARTS = [date(2023 + n // 4, 1 + 3 * (n % 4), 1) for n in range(12)]
OUTCOMES = ("won", "lost", "no_decision")


def company(
    seed: int, *, deals: int = 120, better: float = 0.0, undecided: float = 0.0, shock: float = 0.05
) -> pl.DataFrame:
    """Closed deals of eight quarters: 30 % won, 20 % undecided, moved by the quarter's luck; Partner wins ``better``
    more, consultative deals are left undecided ``undecided`` more; reasons mean nothing, and a third state none."""
    rng = np.random.default_rng(seed)
    rows = []
    for start in STARTS[4:]:
        luck = shock * rng.standard_normal()
        for number in range(deals):
            source, motion = ("Inbound", "Outbound", "Partner", "Event")[rng.integers(4)], ("fast", "slow")[number % 2]
            idle = 0.2 + undecided * (motion == "slow")
            won = min(max(0.3 + luck + better * (source == "Partner"), 0.02), 0.9)
            chances = np.array([won, max(1 - won - idle, 0.01), idle])
            outcome = OUTCOMES[rng.choice(3, p=chances / chances.sum())]
            reason = None if rng.random() < 1 / 3 else ("Price", "Timing", "Rival")[rng.integers(3)]
            amount = Decimal(int(rng.lognormal(3, 0.7) * 1e4)) / 100
            rows.append((start, f"{start}-{number}", outcome, amount, source, motion, reason))
    columns = (
        "period_start_on",
        "opportunity_id",
        "outcome",
        "amount",
        "lead_source",
        "sales_motion",
        "outcome_reason",
    )
    return pl.DataFrame(rows, schema=columns, schema_overrides={"amount": pl.Decimal(18, 2)}, orient="row")


def told(deals: pl.DataFrame, cut: str = "lead_source") -> dict[str, dict[str, object]]:
    rows = win_loss(deals, ("lead_source", "sales_motion"), level=0.8).filter(pl.col("cut") == cut).to_dicts()
    return {row["value"]: row for row in rows}


def few(*rows: tuple[str, object, str | None]) -> pl.DataFrame:
    """By hand: outcome, amount, lead source."""
    return pl.DataFrame(
        [(STARTS[0], f"d{n}", outcome, amount, source, None, None) for n, (outcome, amount, source) in enumerate(rows)],
        schema=dict.fromkeys(("period_start_on", "opportunity_id", "outcome"), pl.String)
        | {"period_start_on": pl.Date, "amount": pl.Decimal(18, 2)}
        | dict.fromkeys(("lead_source", "sales_motion", "outcome_reason"), pl.String),
        orient="row",
    )


def test_by_pencil() -> None:
    deals = few(
        ("won", 30, "Web"), ("lost", 50, "Web"), ("no_decision", 20, "Web"), ("won", None, None), ("open", 9, "Web")
    )
    table = win_loss(deals, ("lead_source", "sales_motion"), level=0.8)
    whole = table.filter(pl.col("cut") == "all").row(0, named=True)
    assert (whole["won_count"], whole["lost_count"], whole["no_decision_count"], whole["unvalued_count"]) == (
        2,
        1,
        1,
        1,
    )
    assert (whole["win_rate"], whole["no_decision_rate"], whole["win_amount_rate"]) == (0.5, 0.25, 0.3)
    assert (whole["won_amount"], whole["lost_amount"], whole["no_decision_amount"]) == (30, 50, 20)
    lower, upper = wilson(2, 4, 0.8)
    assert (whole["lower"], whole["upper"]) == (pytest.approx(float(lower)), pytest.approx(float(upper)))
    assert set(table["cut"]) == {"all", "lead_source"}  # no deal states a motion
    assert {row["value"]: row["direction"] for row in table.filter(pl.col("cut") == "lead_source").to_dicts()} == {
        "Web": "too_few",
        None: None,
    }


def test_values_of_a_cut_add_up_to_the_whole_in_deals_and_cents() -> None:
    table = win_loss(company(1), ("lead_source", "sales_motion"), level=0.8)
    counted = [f"{outcome}_{what}" for outcome in OUTCOMES for what in ("count", "amount")]
    sums = table.group_by("cut").agg(pl.col(counted).sum()).drop("cut").unique()
    assert sums.height == 1


def test_a_source_that_wins_more_is_found_and_no_other() -> None:
    found = [told(company(seed, better=0.18)) for seed in range(5)]
    assert sum(rows["Partner"]["direction"] == "above" for rows in found) >= 4
    assert all(rows[name]["direction"] != "above" for rows in found for name in ("Inbound", "Outbound", "Event"))


def test_a_value_that_replaced_another_faces_it_in_too_few_periods_to_be_ranked() -> None:
    """A list of sources renamed: each side has hundreds of deals, and one quarter in common."""
    deals = company(3)
    renamed = deals.with_columns(
        lead_source=pl.when(pl.col("period_start_on") > STARTS[7])
        .then(pl.lit("New"))
        .when((pl.col("period_start_on") == STARTS[7]) & (pl.col("outcome") == "won"))
        .then(pl.lit("New"))
        .otherwise(pl.lit("Old"))
    )
    assert {row["direction"] for row in told(renamed).values()} == {"too_few"}


def test_what_is_left_undecided_is_found_apart_from_what_is_won() -> None:
    rows = told(company(2, undecided=0.2), "sales_motion")
    assert (rows["slow"]["no_decision_direction"], rows["fast"]["no_decision_direction"]) == ("above", "below")


def test_where_nothing_differs_nobody_is_ranked_beyond_the_error() -> None:
    """Sixty companies alike, a cut of four sources: 5 % are expected to name any; P(more than 7 | 60, 0.05) = 1.6 %."""
    named = 0
    for seed in range(60):
        rows = told(company(500 + seed, shock=0.08)).values()
        named += any(row["direction"] in ("above", "below") for row in rows)
    assert named <= 7


def test_quarters_that_differ_widen_the_range() -> None:
    calm, rough = (company(7, shock=shock) for shock in (0.0, 0.15))
    widths = [
        row["upper"] - row["lower"]
        for row in (win_loss(deals, (), level=0.8).row(0, named=True) for deals in (calm, rough))
    ]
    assert widths[1] > 1.5 * widths[0]


def test_only_the_latest_eight_periods_are_told_and_order_changes_nothing() -> None:
    deals = company(3)
    old = few(("won", 10**6, "Ancient"))
    table = win_loss(pl.concat([old.select(deals.columns), deals]), ("lead_source",), level=0.8)
    assert "Ancient" not in table["value"].to_list()
    assert table.equals(win_loss(deals.sample(fraction=1, shuffle=True, seed=5), ("lead_source",), level=0.8))


def test_free_text_is_bounded() -> None:
    deals = few(*[("won", 1, f"source {n:02d}") for n in range(45)], ("lost", 1, "source 44"))
    rows = told(deals)
    assert len(rows) == 41
    assert rows[OTHERS]["won_count"] == 5
    assert rows["source 44"]["lost_count"] == 1


def test_reasons_are_shares_of_what_is_stated_and_the_silent_are_counted() -> None:
    deals = company(4)
    table = outcome_reasons(deals, level=0.8)
    for outcome in OUTCOMES:
        rows = table.filter(pl.col("outcome") == outcome)
        stated, silent = rows.drop_nulls("reason"), rows.filter(pl.col("reason").is_null())
        ended = deals.filter(pl.col("outcome") == outcome)
        assert stated["share_rate"].sum() == pytest.approx(1)
        assert stated["amount_share_rate"].sum() == pytest.approx(1)
        assert rows["deal_count"].sum() == ended.height
        assert rows["amount"].sum() == ended["amount"].sum()
        assert silent["deal_share_rate"][0] == pytest.approx(ended["outcome_reason"].null_count() / ended.height)
        assert silent["share_rate"][0] is None
        assert (stated["lower"] <= stated["share_rate"]).all()
        assert (stated["share_rate"] <= stated["upper"]).all()


def test_no_deals_no_rows() -> None:
    nothing = company(1).clear()
    assert win_loss(nothing, ("lead_source",), level=0.8).is_empty()
    assert outcome_reasons(nothing, level=0.8).is_empty()


def test_a_competitor_is_read_from_a_column_of_the_export_that_names_one() -> None:
    kept = pl.DataFrame(
        {
            "opportunity_id": ["a", "b", "c"],
            "other_columns": ['{"Main Competitor(s)": "Acme", "Colour": "red"}', '{"Competitor__c": " "}', '{"x": 1}'],
        }
    )
    assert competitors(kept).rows() == [("a", "Acme")]
