"""Win / loss: what the page says of a company's own deals, and every sentence of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import answers_outcomes, wording_outcomes
from dashboard.filters import Filters
from dashboard.wording import TITLE_LENGTH
from pipelines import runs
from pipelines.engine.explained import HAND_OFF_LATE
from pipelines.engine.outcomes import OTHERS
from pipelines.outcome_contracts import EXPLANATIONS
from pipelines.progress import Silent
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from tests.test_published_miss import now
from tests.warehouse_help import at, land_all


def value(name: str | None, direction: str | None, idle: str | None = "like_the_rest") -> dict[str, Any]:
    rate = {"above": 0.4, "below": 0.2}.get(direction or "", 0.3)
    return {"value": name, "direction": direction, "no_decision_direction": idle, "win_rate": rate}


def _page(edition_id: str) -> None:
    from dashboard.filters import Filters
    from dashboard.views import outcomes

    outcomes.page(Filters(edition_id))


def drawn(root: Path, edition_id: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(root))
    at_page = AppTest.from_function(_page, kwargs={"edition_id": edition_id}, default_timeout=60).run()
    assert not at_page.exception
    return at_page


def test_a_few_deals_are_counted_and_not_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "workspace")
    deals = [
        now("a", "Closed Won", lead_source="Web", outcome_reason="Price"),
        now("b", "Closed Lost", lead_source="Web"),
        now("c", "Closed Lost", lead_source="Fair", outcome_reason="No decision"),
    ]
    land_all(workspace, {"opportunities": deals, "people": [{"person_id": "ann", "name": "Ann", "team": "East"}]})
    ref = runs.publish(workspace, Silent(), as_of=at("2026-10-20 23:59:59"))
    page = drawn(workspace.root, ref.edition_id, monkeypatch)
    assert page.title[0].value == "Too few closed deals to compare sources, motions or teams"
    text = "\n".join(str(block.value) for block in page.markdown)
    assert "**33 %** were won" in text.replace("\xa0", " ")
    assert "**33 %** of them" in text.replace("\xa0", " ")
    answer = answers_outcomes.outcomes(Filters(ref.edition_id))
    assert set(answer.cuts) == {"lead_source", "team"}
    assert "competitor" in answer.missing
    assert answer.unexplained_amount == Decimal(100)


def test_without_deals_the_page_says_what_would_bring_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "workspace")
    record = {"forecaster_id": "ann", "period_start_on": "2026-07-01", "forecast_amount": 9, "actual_amount": 8}
    land_all(workspace, {"forecast_records": [record]})
    ref = runs.publish(workspace, Silent())
    page = drawn(workspace.root, ref.edition_id, monkeypatch)
    assert page.title[0].value == "Which deals are won, and which never decided?"
    assert "none have landed" in page.markdown[0].value


# Words


def test_titles_name_who_stands_out_or_refuse_to_rank() -> None:
    title = wording_outcomes.outcomes_title
    assert title([value("Web", "above")], {"win_rate": 0.3}) == "Beyond chance, win rates differ for Web"
    assert "slow deals end undecided" in title([value("slow", "like_the_rest", "above")], {"win_rate": 0.3})
    assert title([value("Web", "like_the_rest")], {"win_rate": 0.3}).startswith("No source, motion or team")
    assert title([], {"win_rate": 0.3}).replace("\xa0", " ") == "30 % of closed deals were won"
    long = [value("A very long lead source of the north " * 2, "above")]
    assert len(title(long, {"win_rate": 0.3})) <= TITLE_LENGTH
    cut = wording_outcomes.cut_title
    assert (
        cut("lead_source", [value("Web", "above"), value("Fair", "below")]) == "Lead source: Web wins more, Fair less"
    )
    assert cut("lead_source", [value("Web", "above")]) == "Lead source: Web wins more than the rest"
    rated = [value(name, "above") | {"win_rate": rate} for name, rate in (("a", 0.31), ("b", 0.4), ("c", 0.35))]
    assert cut("lead_source", rated) == "Lead source: b, c and a win more than the rest"
    fourth = [*rated, value("d", "above") | {"win_rate": 0.5}, value(OTHERS, "above") | {"win_rate": 0.9}]
    assert cut("lead_source", fourth) == "Lead source: d, b and 2 more win more than the rest"
    assert cut("team", [value(OTHERS, "below")]) == "Team: no ranking, chance could explain the differences"
    assert cut("lead_source", [value("Web", "too_few")]) == "Lead source: too few deals to compare"
    assert cut("team", [value("Web", "like_the_rest")]) == "Team: no ranking, chance could explain the differences"
    assert title([value("Web", "too_few", "too_few")], {"win_rate": 0.3}).startswith("Too few closed deals")
    assert len(cut("opportunity_type", [value("Web", "like_the_rest")])) <= TITLE_LENGTH


def test_who_is_left_undecided_is_said_or_that_nobody_is() -> None:
    row = value("slow", "like_the_rest", "above") | {
        "no_decision_rate": 0.4, "no_decision_lower": 0.3, "no_decision_upper": 0.5
    }  # fmt: skip
    cuts = {"sales_motion": pl.DataFrame([row])}
    (said,) = wording_outcomes.undecided(cuts, {"no_decision_count": 9})
    assert said.replace("\x02", "").replace("\xa0", " ") == (
        "Sales motion slow: 40 % (30–50 %) end without a decision, more often than the rest."
    )
    quick = row | {"value": "quick", "no_decision_direction": "below"}
    assert wording_outcomes.undecided({"sales_motion": pl.DataFrame([row, quick])}, {"no_decision_count": 9}) == [said]
    alone = [row | {"no_decision_direction": "below"}, row | {"value": None, "no_decision_direction": None}]
    (less,) = wording_outcomes.undecided({"sales_motion": pl.DataFrame(alone)}, {"no_decision_count": 9})
    assert "less often than the rest" in less
    assert "recorded as left undecided" in wording_outcomes.undecided(cuts, {"no_decision_count": 0})[0]
    alike = {"sales_motion": pl.DataFrame([row | {"no_decision_direction": "like_the_rest"}])}
    assert "nowhere beyond chance" in wording_outcomes.undecided(alike, {"no_decision_count": 9})[0]


def test_a_reason_leads_only_where_ranges_part() -> None:
    def reason(name: str, lower: float, upper: float) -> dict[str, Any]:
        return {"reason": name, "lower": lower, "upper": upper}

    title = wording_outcomes.reasons_title
    assert title("lost", [reason("Price", 0.5, 0.6), reason("Timing", 0.2, 0.3)]) == "Lost: most state Price"
    first, next_one = reason("Price", 0.33, 0.4), reason("Timing", 0.2, 0.3)
    assert title("lost", [first, next_one]) == "Lost: Price leads the reasons", "a third is not most"
    assert (
        title("lost", [reason("Price", 0.4, 0.6), reason("Timing", 0.3, 0.5)])
        == "Lost: no reason leads, ranges overlap"
    )
    assert title("no_decision", []) == "Undecided: no reason is stated"


def fraction(explanation: str, name: str, status: str = "claimed") -> dict[str, Any]:
    return {
        "explanation": explanation,
        "value": name,
        "deal_count": 40,
        "missed_rate": 0.6,
        "rest_count": 90,
        "rest_rate": 0.3,
        "fraction": 0.5,
        "lower": 0.4,
        "upper": 0.6,
        "level": 0.8,
        "tested_count": 7,
        "status": status,
    }


def test_what_explains_a_miss_is_said_and_that_nothing_does_too() -> None:
    def said(*rows: dict[str, Any]) -> list[str]:
        told = wording_outcomes.what_explains(rows, "quarter")
        return [sentence.replace("\x02", "").replace("\xa0", " ") for sentence in told]

    assert said() == [
        "Sourcing, process and data: too few earlier quarters to hold lead sources, stages or records against each "
        "other, so nothing is laid on them."
    ]
    too_few = fraction("stage", "x", "too_few") | {"tested_count": 0}
    assert "too few earlier deals to hold" in said(too_few)[0]
    assert "7 comparisons of earlier quarters made, none worse" in said(fraction("stage", "x", "not_established"))[0]
    assert said(fraction("lead_source", "Outbound")) == [
        "Sourcing: called deals from Outbound fail to close 60 % of the time, the rest 30 %; 50 % (40–60 %) of what "
        "they missed is laid on it."
    ]
    assert "called deals handed over after 30 days" in said(fraction("hand_off", HAND_OFF_LATE))[0]
    assert "in the last four quarters deals called in Proposal" in said(fraction("stage", "Proposal"))[0]
    assert said(fraction("record", "wrong at the lock"))[0].startswith("Data: called deals with a record wrong")
    assert set(wording_outcomes.EXPLANATIONS) == set(EXPLANATIONS) == set(wording_outcomes.PARTS)
    rows = wording_outcomes.fraction_rows([fraction("stage", "Proposal"), fraction("stage", "x") | {"fraction": None}])
    assert rows[0][0] == "Stage at the lock: Proposal"
    assert rows[1][5] == "—"


def test_an_estimated_part_is_told_with_its_range() -> None:
    row = {"part": "data", "amount": Decimal(-5), "claim_lower": Decimal(-7), "claim_upper": Decimal(-2)}
    (said,) = wording_outcomes.what_they_take([row, row | {"part": "deals", "claim_lower": None}], "USD")
    assert said.replace("\x02", "") == "Data takes −$5 of this miss (−$7 to −$2)."
