"""The Pipeline and Value added pages: a simulated company end to end, designed empty states, and what sentences say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import (
    answers_movement,
    answers_pipeline,
    answers_value,
    shelf,
    wording_movement,
    wording_pipeline,
    wording_value,
)
from dashboard.charts.intervals import intervals
from dashboard.charts.rate_history import rate_history
from dashboard.charts.reliability import reliability
from dashboard.charts.stairs import stairs
from dashboard.filters import Filters
from dashboard.wording import plain
from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse import editions as published
from tests.dashboard import editions

PAGES = ["pipeline", "value_added"]


def words(at: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info")
    return "\n".join(str(element.value) for kind in kinds for element in at.get(kind))


def drawn(root: Path, page: str, monkeypatch: pytest.MonkeyPatch, scope: str = "company") -> AppTest:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(root))
    at = AppTest.from_function(_one_page, kwargs={"name": page, "scope": scope}, default_timeout=60).run()
    assert not at.exception
    assert not at.error
    return at


def _one_page(name: str, scope: str) -> None:
    from importlib import import_module

    from dashboard import shelf
    from dashboard.filters import Filters
    from pipelines.settings import Workspace

    workspace = Workspace.at()
    calls = shelf.choices(shelf.edition(workspace, shelf.current_id(workspace))).calls
    layer, category = calls[0] if calls else ("rep", "commit")
    view = import_module(f"dashboard.views.{name}")
    view.page(Filters(shelf.current_id(workspace), scope=scope, layer=layer, category=category))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A simulated company, landed and published as a customer's would be."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "exports", reps=12, quarters=9, seed=4, layout="canonical", progress=Silent())
    workspace = Workspace.at(folder / "workspace")
    runs.ingest(workspace, [folder / "exports"], Silent())
    runs.publish(workspace, Silent())
    return workspace


def filters_of(workspace: Workspace, **more: Any) -> Filters:
    edition_id = shelf.current_id(workspace)
    assert edition_id is not None
    return Filters(edition_id, **more)


# The simulated company


def test_a_movement_too_small_to_be_seen_in_its_ends_says_by_how_much() -> None:
    def said(start: int, end: int) -> str:
        return wording_movement.title("Q3 2026", Decimal(start), Decimal(end), "USD")

    assert said(12_410_000, 12_420_000) == "Q3 2026: open and due rose by $10.0K to $12.4M"
    assert said(12_400_000, 10_000_000) == "Q3 2026: open and due fell from $12.4M to $10.0M"
    assert said(5, 5) == "Q3 2026: open and due stayed at $5"


def test_the_movement_opens_to_the_deals_behind_each_amount(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = filters_of(company)
    managers = shelf.table(shelf.edition(company, filters.edition_id), "scopes").filter(scope_kind="manager")["scope"]
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(company.root))
    for scope in ("company", managers[0]):
        ours = filters_of(company, scope=scope)
        spans = answers_movement.spans(ours)
        assert [span.is_week for span in spans[:2]] == [False, True]
        for span in (spans[0], spans[1], spans[3]):
            told = answers_movement.movement(ours, span)
            assert told.start_amount + sum(row.amount for row in told.totals) == told.end_amount
            for row in told.totals:
                assert sum(answers_movement.behind(ours, span, row.movement)["amount"].to_list()) == row.amount
            for name, amount in (("start", told.start_amount), ("end", told.end_amount)):
                assert sum(answers_movement.behind(ours, span, name)["amount"].to_list()) == amount
    at = drawn(company.root, "pipeline", monkeypatch)
    at.selectbox(key="moved-what").set_value("won").run()
    assert not at.exception
    shown = next(grid.value for grid in at.dataframe if "moved_at" in grid.value.columns)
    assert shown["moved_at"].notna().all()
    assert (shown["amount"] < 0).all()


def test_the_edition_holds_every_table_of_the_process(company: Workspace) -> None:
    ref = published.current(company)
    assert ref is not None
    sizes = {
        name: published.read(ref, name).height
        for name in ("value_added", "overrides", "override_summary", "probability_calibration", "leaks",
                     "rate_stability", "rationality", "pipeline_health")
    }  # fmt: skip
    assert min(sizes.values()) > 0, sizes
    ladder = published.read(ref, "value_added", where={"scope": "company", "week_of_period": ref.lock_week})
    assert {"naive_last_period", "stage_weighted", "rep_rollup", "manager", "executive"} <= {
        *ladder["step"],
        *ladder["reference_step"],
    }
    assert published.read(ref, "leaks")["status"].is_in(["usable", "constant"]).all()
    judged = published.read(ref, "probability_calibration", where={"source": "model", "weighting": "count"})
    assert judged["week_of_period"].unique().to_list() == [ref.lock_week]
    assert judged["deal_count"].sum() + judged["unrated_count"][0] > 100
    assert (
        judged.select("brier", "miscalibration", "cox_intercept", "cox_slope", "spiegelhalter_z").null_count().row(0)
        == (0,) * 5
    )


def test_the_ladders_roll_up_is_what_reps_said_and_its_actual_what_was_won(company: Workspace) -> None:
    """By another road: the override ledger's amounts added up from the published pairs."""
    ref = published.current(company)
    assert ref is not None
    ledger = published.read(ref, "overrides", where={"scope": "company", "week_of_period": ref.lock_week})
    pairs = published.read(ref, "forecast_pairs", where={"week_of_period": ref.lock_week, "category": "commit"})
    sums = {
        layer: dict(
            pairs.filter(pl.col("layer") == layer)
            .group_by("period_start_on")
            .agg(pl.col("forecast_amount").sum())
            .rows()
        )
        for layer in ("rep", "manager")
    }
    managers = ledger.filter(pl.col("step") == "manager")
    assert managers.height >= 7
    for row in managers.iter_rows(named=True):
        assert row["reference_amount"] == sums["rep"][row["period_start_on"]]
        assert row["forecast_amount"] == sums["manager"][row["period_start_on"]]
    landed = dict(
        pairs.filter(pl.col("layer") == "rep").group_by("period_start_on").agg(pl.col("actual_amount").sum()).rows()
    )
    for row in managers.iter_rows(named=True):
        assert abs(row["actual_amount"] - landed[row["period_start_on"]]) <= row["actual_amount"] / 20


def test_health_agrees_with_the_deals_of_the_edition(company: Workspace) -> None:
    ref = published.current(company)
    assert ref is not None
    deals = published.read(ref, "deals")
    health = published.read(ref, "pipeline_health", where={"scope": "company", "item": "all"})
    row = {name: health.row(by_predicate=pl.col("measure") == name, named=True) for name in health["measure"]}
    assert row["past_due_rate"]["hit_count"] == int(deals["is_past_due"].sum())
    assert row["pushed_rate"]["hit_count"] == deals.filter(pl.col("push_count") > 0).height
    assert row["past_due_rate"]["deal_count"] == deals.height
    won = published.read(ref, "rate_stability", where={"measure": "win_rate", "item": None}).sort("period_start_on")
    assert row["win_rate_count"]["previous_1"] == pytest.approx(won["estimate"][-1])
    assert row["win_rate_count"]["deal_count"] == int(won["trial_count"].tail(4).sum())


@pytest.mark.parametrize("page", PAGES)
def test_both_pages_speak_of_the_simulated_company(
    company: Workspace, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = words(drawn(company.root, page, monkeypatch))
    expected = {
        "pipeline": ("missing to quota", "Are our conversion rates constant", "worth a look", "Win rate"),
        "value_added": ("Managers", "What do overrides bring", "Stage defaults", "Do calls lean"),
    }
    for phrase in expected[page]:
        assert phrase in said


@pytest.mark.parametrize("page", PAGES)
def test_a_managers_own_pages_draw(company: Workspace, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = published.current(company)
    assert ref is not None
    manager = published.read(ref, "scopes", where={"scope_kind": "manager"})["scope"][0]
    said = words(drawn(company.root, page, monkeypatch, scope=manager))
    assert "whole company" in said, "what is everybody's is said to be"


def test_the_answers_hold_what_the_pages_show(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(company.root))
    pipeline = answers_pipeline.pipeline(filters_of(company))
    assert pipeline.flagged_count <= pipeline.open_count
    assert pipeline.deals["amount"].drop_nulls().is_sorted(descending=True)
    assert pipeline.rates[0].measure == "win_rate"
    assert all(rate.rows["period_start_on"].is_sorted() for rate in pipeline.rates)
    value = answers_value.value_added(filters_of(company))
    assert value.has_judgement
    assert value.steps["step"].is_unique().all()
    assert value.crm_is_default == all(one.source != "rep" for one in value.calibrations)


# Designed states


@pytest.mark.parametrize("variant", sorted(set(editions.VARIANTS) - {"many"}))
@pytest.mark.parametrize("page", PAGES)
def test_both_pages_draw_for_every_company(
    variant: str, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = drawn(editions.workspace_of(tmp_path, variant).root, page, monkeypatch)
    assert at.title[0].value


def test_deals_alone_show_health_with_words_and_no_ladder(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.at(tmp_path / "workspace")
    runs.ingest(workspace, [shared / "data" / "regional_sales"], Silent())
    runs.publish(workspace, Silent())
    said = words(drawn(workspace.root, "pipeline", monkeypatch))
    assert "of deals that close are won" in said
    assert "No history of changes has landed" in said
    assert "without a decision" not in said, "no row says so, and none is not a share of none"
    value = words(drawn(workspace.root, "value_added", monkeypatch))
    assert "No step of judgement can be compared yet" in value
    assert "given with hindsight" in value
    assert "Pipeline × probability is left out" in value
    assert r"Probability \(raw\)" in value
    assert "is refused as a leak" in value
    ref = published.current(workspace)
    assert ref is not None
    known = published.read(ref, "leaks")
    refused = known.filter(pl.col("status") == "refused_as_leak")
    assert refused.select("field", "seen").rows() == [("Probability (raw)", "in_export")]
    assert known.filter(pl.col("seen") == "in_export").height > 8, "every other column is looked at, by one rule"


def test_reasons_are_shown_with_how_many_deals_give_none(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    said = words(drawn(company.root, "pipeline", monkeypatch))
    assert "the seller's word for why a buyer said no" in said
    assert " give none " in said
    ref = published.current(company)
    assert ref is not None
    rows = published.read(ref, "pipeline_health", where={"scope": "company", "measure": "reason_share"})
    assert rows.height > 2
    assert rows["estimate"].sum() == pytest.approx(1.0)
    assert rows.select("lower", "upper").null_count().row(0) == (0, 0)


def test_a_reason_is_named_only_when_it_leads_beyond_doubt() -> None:
    def reason(item: str, lower: float, upper: float) -> dict[str, Any]:
        return {"item": item, "lower": lower, "upper": upper}

    clear = [reason("Price", 0.4, 0.5), reason("Timing", 0.2, 0.3)]
    assert wording_pipeline.reasons_title(clear) == "Most often not won for one reason: Price"
    assert "Price" not in wording_pipeline.reasons_title([reason("Price", 0.4, 0.5), reason("Timing", 0.35, 0.45)])
    assert "x" * 60 not in wording_pipeline.reasons_title([reason("x" * 60, 0.4, 0.5), clear[1]])


# Sentences


def health_row(**more: Any) -> dict[str, Any]:
    usual = {"measure": "win_rate_count", "unit": "rate", "status": "ok", "estimate": 0.28, "lower": 0.25, "upper": 0.3,
             "level": 0.8, "deal_count": 400, "hit_count": 112, "amount": None}  # fmt: skip
    return usual | {f"previous_{number}": None for number in range(1, 5)} | more


def test_titles_of_the_pipeline() -> None:
    past = {"previous_1": 1.8, "previous_2": 1.6, "previous_3": 1.5, "previous_4": 1.5}
    ratio = health_row(estimate=2.2, lower=None, upper=None, unit="ratio")

    def title(row: dict[str, Any]) -> str:
        return wording_pipeline.title({"coverage_remaining": row}, "quarter", has_deals=True)

    assert title(ratio | past) == "Open deals cover 2.2 times what is missing to quota, more than usual"
    assert title(ratio | past | {"estimate": 1.2}).endswith("less than usual")
    assert title(ratio | past | {"estimate": 1.7}).endswith("as usual")
    assert title(ratio) == "Open deals cover 2.2 times what is missing to quota"
    assert title(ratio | {"estimate": None, "status": "quota_reached"}).startswith(
        "The quota of this quarter is reached"
    )
    assert wording_pipeline.title({}, "quarter", has_deals=False).startswith("No deals have landed")
    assert len(title(ratio | past)) <= 70


def test_a_few_are_never_written_as_none() -> None:
    assert wording_pipeline.share(0.001) == "under 1\u00a0%"
    assert wording_pipeline.share(0.0) == "0\u00a0%"
    assert wording_pipeline.share(0.2) == "20\u00a0%"


def test_what_is_not_known_is_not_said() -> None:
    assert wording_pipeline.sentences({}, "quarter", "USD") == []
    said = wording_pipeline.sentences({"win_rate_count": health_row()}, "quarter", "USD")
    assert [plain(sentence) for sentence in said] == [
        "Of deals closed lately, 28\u00a0% were won (25–30\u00a0%, 4 times in 5)."
    ]


def test_the_words_of_stability() -> None:
    verdict = {"overall": 0.3, "next_lower": 0.25, "next_upper": 0.34, "period_count": 12, "drift_rate": -0.15,
               "status": "ok"}  # fmt: skip

    def sentence(direction: str, **more: Any) -> str:
        return plain(wording_pipeline.rate_sentence("win_rate", verdict | {"direction": direction} | more, "quarter"))

    assert "Plan with 25–34\u00a0% for the next quarter" in sentence("stable")
    assert "not with one number" in sentence("jumpy")
    assert sentence("drifting").startswith("Falling by 15\u00a0% a year in odds")
    assert "six quarters of thirty deals" in sentence("too_little_data", status="not_enough_history", period_count=1)
    assert wording_pipeline.rates_title(["stable", "jumpy"]) == "1 of 2 rates is stable; 1 jump"
    assert wording_pipeline.rates_title([]) == "No rate has a history yet"


def test_titles_of_value_added() -> None:
    row = {"step": "manager", "reference_step": "rep_rollup", "direction": "no_detectable_effect"}
    assert (
        wording_value.title([row], has_judgement=True)
        == "Managers: not shown to come nearer than the reps' calls added up"
    )
    helps = wording_value.title([row | {"direction": "adds_value"}], has_judgement=True)
    assert helps == "Managers bring the number nearer than the reps' calls added up"
    assert wording_value.title([], has_judgement=False) == "No step of judgement can be compared yet"
    one_team = wording_value.title([row | {"direction": "hurts"}], has_judgement=True, team="Ann de Wit")
    assert one_team == "Ann de Wit: how each step of the forecast has done", "no verdict on one person in a title"
    remark = wording_value.teams_remark(1, 7)
    assert remark is not None
    assert "about 0.7 would by chance alone" in remark
    none = wording_value.teams_remark(0, 4)
    assert none is not None
    assert none.startswith("Of 4 teams with enough history, none has a manager")
    assert wording_value.teams_remark(0, 0) is None
    assert wording_pipeline.opened("ann de Wit") == "Ann de Wit"


def test_a_refused_source_is_named_and_gives_no_number() -> None:
    figures = {"status": "refused_as_leak", "separation_rate": 0.97, "direction": "not_enough_evidence"}
    title = wording_value.calibration_title("rep", 3, figures, "quarter", hindsight=True)
    assert title == "Reps' own: refused, they knew the outcome"
    assert "97\u00a0%" in wording_value.calibration_sentence("rep", figures, None, "quarter")
    field = {
        "field": "score_raw", "seen": "in_export", "separation_rate": 0.97, "lower": 0.96, "upper": 0.98,
        "won_count": 40, "lost_count": 60, "status": "refused_as_leak",
    }  # fmt: skip
    said = plain(wording_value.leak_sentence(field))
    assert said.startswith("score_raw tells won from lost deals in 97\u00a0% of pairs (96\u00a0% to 98\u00a0%")
    assert "100 deals" in said
    assert "before they ended" in said
    assert "the day they were opened" in plain(wording_value.leak_sentence(field | {"seen": "when_opened"}))
    suspect = field | {"status": "suspect", "field": "stage"}
    assert "left out" not in wording_value.leak_sentence(suspect)
    assert "left out" in wording_value.leak_sentence(suspect | {"seen": "when_opened"})


def test_theils_parts_are_told_with_ranges_and_a_finding_only_beyond_doubt() -> None:
    def part(estimate: float, lower: float | None, upper: float | None) -> dict[str, Any]:
        return {"estimate": estimate, "lower": lower, "upper": upper, "level": 0.9, "pair_count": 60, "period_count": 6}

    rows = {
        "level_share": part(0.3, 0.1, 0.5),
        "slope_share": part(0.1, 0.0, 0.2),
        "noise_share": part(0.6, 0.45, 0.75),
    }
    said = plain(wording_value.theil_sentence(rows, "quarter"))
    assert said.startswith("Of the squared error of 60 calls of 6 quarters, 30")
    assert said.count("9 times in 10") == 3
    assert wording_value.theil_title(rows) == "What the error of calls is made of"
    assert "no lean" in wording_value.theil_title(rows | {"noise_share": part(0.8, 0.6, 0.9)})
    assert "would remove" in wording_value.theil_title(rows | {"noise_share": part(0.2, 0.1, 0.4)})
    unknown = rows | {"noise_share": part(0.6, None, None)}
    assert wording_value.theil_title(unknown) == "What the error of calls is made of"
    for told in (rows, unknown):
        assert len(wording_value.theil_title(told)) <= 70


def test_theils_parts_stand_on_the_page(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Of the squared error of" in words(drawn(company.root, "value_added", monkeypatch))


def test_scores_are_told_with_their_ranges_and_what_is_missing_is_a_dash() -> None:
    unknown = ("miscalibration_p_value", "spiegelhalter_z", "cox_intercept", "cox_slope")
    ends = [f"cox_{part}_{end}" for part in ("intercept", "slope") for end in ("lower", "upper")]
    scores = {"total_count": 300, "brier": 0.2, "miscalibration": 0.012, "discrimination": 0.05, "uncertainty": 0.238}
    figures = dict.fromkeys([*unknown, *ends]) | scores
    row = wording_value.score_row("model", 3, "count", figures, "quarter")
    assert row == [
        "Our model, won in the quarter, by count",
        "300",
        "0.200",
        "0.012",
        "—",
        "0.050",
        "0.238",
        "—",
        "—",
        "—",
    ]
    known = figures | {"cox_slope": 0.8, "cox_slope_lower": 0.7, "cox_slope_upper": 0.95, "spiegelhalter_z": -1.24}
    assert wording_value.score_row("rep", None, "money", known, "quarter")[-2:] == ["0.80 (0.70 to 0.95)", "−1.2"]
    assert len(row) == len(wording_value.SCORE_COLUMNS) + 1


# What position, shape and colour mean


def test_shares_are_drawn_where_they_are_with_their_past() -> None:
    rows = pl.DataFrame(
        {"label": ["a", "b"], "estimate": [0.2, 0.4], "lower": [0.1, None], "upper": [0.3, None],
         "previous": [[0.1, None], [None, None]]},
    )  # fmt: skip
    fig = intervals(rows=rows, dark=False)
    now = next(trace for trace in fig.data if trace.name == "now")
    assert list(now.x) == [0.2, 0.4]
    before = next(trace for trace in fig.data if trace.name == "before")
    assert (list(before.x), list(before.y)) == ([0.1], [0])
    assert len(fig.layout.shapes) == 1, "no line without a range"


def test_a_period_outside_its_limits_is_a_diamond() -> None:
    rows = pl.DataFrame(
        {"label": ["Q1 2026", "Q2 2026"], "estimate": [0.2, 0.5], "lower": [0.1, 0.4], "upper": [0.3, 0.6],
         "limit_lower": [0.1, 0.1], "limit_upper": [0.4, 0.4], "is_outside_limits": [False, True]},
    )  # fmt: skip
    fig = rate_history(rows=rows, overall=0.3, ahead=(0.2, 0.4), written=str, dark=True)
    assert fig.data[-1].marker.symbol == ("circle", "diamond")
    box = next(shape for shape in fig.layout.shapes if shape.type == "rect")
    assert (box.y0, box.y1) == (0.2, 0.4)


def test_steps_that_help_hurt_and_say_nothing_look_different() -> None:
    rows = pl.DataFrame(
        {"label": ["a", "b", "c"], "note": ["", "", ""], "gain": [0.1, -0.1, 0.0], "lower": [0.05, -0.2, None],
         "upper": [0.2, -0.05, None], "direction": ["adds_value", "hurts", "no_detectable_effect"]},
    )  # fmt: skip
    fig = stairs(rows=rows, first="naive", dark=False)
    assert fig.data[0].marker.symbol == ("circle", "diamond", "circle-open")
    assert list(fig.data[0].x) == [0.1, -0.1, 0.0]
    assert fig.layout.yaxis.ticktext[0] == "naive"


def test_more_deals_make_a_larger_mark() -> None:
    bins = pl.DataFrame(
        {"predicted_rate": [0.5, 0.1], "observed_rate": [0.4, 0.2], "lower": [0.3, 0.1], "upper": [0.5, 0.3],
         "band_lower": [0.4, 0.05], "band_upper": [0.6, 0.2], "deal_count": [25, 100]},
    )  # fmt: skip
    fig = reliability(bins=bins, dark=False)
    marks = fig.data[-1]
    assert list(marks.x) == [0.1, 0.5], "from the lowest probability up"
    assert marks.marker.size[0] - 7 == pytest.approx(2 * (marks.marker.size[1] - 7))
