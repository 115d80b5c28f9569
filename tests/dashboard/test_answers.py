"""Answers of small editions and the pages made from them: every designed state, and no word that is not warranted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import answers
from dashboard.filters import Filters
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions
from tests.dashboard.editions import VARIANTS, workspace_of

Choose = Callable[..., Filters]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workspace]:
    """``made("full")``: the workspace of a variant, published once."""
    folder = tmp_path_factory.mktemp("companies")
    ready: dict[str, Workspace] = {}

    def workspace(name: str) -> Workspace:
        if name not in ready:
            ready[name] = workspace_of(folder, name)
        return ready[name]

    return workspace


@pytest.fixture
def choose(made: Callable[[str], Workspace], monkeypatch: pytest.MonkeyPatch) -> Iterator[Choose]:
    """``choose("full", scope="m1")``: that company's workspace is the one in force, and these are the filters."""

    def chosen(name: str, **asked: str) -> Filters:
        workspace = made(name)
        monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
        ref = editions.current(workspace)
        assert ref is not None
        return Filters(edition_id=ref.edition_id, **asked)

    yield chosen
    st.cache_data.clear()
    st.cache_resource.clear()


def page(view: str, filters: Filters, **query: str) -> AppTest:
    """One page drawn by itself, as the site map would draw it."""

    def script(view, filters):  # its source alone is run, without this module's imports
        from importlib import import_module

        from dashboard.shelf import on_offer
        from pipelines.settings import Workspace

        with_shelf = (on_offer(Workspace.at()),) if view == "trust" else ()
        import_module(f"dashboard.views.{view}").page(filters, *with_shelf)

    at = AppTest.from_function(script, args=(view, filters), default_timeout=30)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def words(at: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption")
    said = "\n".join(str(element.value) for kind in kinds for element in at.get(kind))
    return said.replace("\\", "").replace("\u00a0", " ")


# Trust


def test_the_call_is_the_sum_of_the_calls_in_force_this_week(choose: Choose) -> None:
    filters = choose("full")
    answer = answers.trust(filters)
    ref = editions.find(Workspace.at(), filters.edition_id)
    calls = editions.read(
        ref, "forecast_pairs", where={"period_start_on": ref.open_period_start_on, "week_of_period": 6}
    )
    assert answer.context.week == 6
    assert answer.expected.call_amount == sum(calls["forecast_amount"].to_list(), Decimal(0))
    assert answer.expected.expected_amount == (
        answer.expected.call_amount * Decimal(repr(answer.expected.estimate))
    ).quantize(Decimal("0.01"))


def test_the_record_and_the_published_landing_rate_are_of_the_same_sums(choose: Choose) -> None:
    answer = answers.trust(choose("full"))
    called = sum(answer.record["call_amount"].to_list(), Decimal(0))
    landed = sum(answer.record["landed_amount"].to_list(), Decimal(0))
    assert answer.expected.estimate == pytest.approx(float(landed / called), abs=1e-12)
    assert answer.record["label"].to_list()[0] == "Q4 2023"
    assert answer.record.height == answer.summary.period_count == 12


def test_a_manager_of_everybody_has_the_company_record(choose: Choose) -> None:
    filters = choose("full")
    company = answers.trust(filters)
    team = answers.trust(Filters(filters.edition_id, scope="m1"))
    assert team.context.scope_name == "Mo Lead"
    assert team.record.equals(company.record)
    assert team.quota_amount == company.quota_amount == Decimal(18_000_000)


def test_a_quarter_whose_landings_are_known_is_on_the_record_and_not_expected(choose: Choose) -> None:
    filters = choose("records")
    ref = editions.find(Workspace.at(), filters.edition_id)
    last = answers.trust(filters).record["period_start_on"][-1]
    # As of the last day of that quarter, as the edition of a spreadsheet is.
    on_its_last_day = replace(ref, open_period_start_on=last)
    answer = answers._trust(on_its_last_day, filters)
    assert answer.record["period_start_on"][-1] == last
    assert answer.record.height == answer.summary.period_count == 8
    assert (answer.expected.call_amount, answer.context.period_label) == (None, None)
    assert answer.fresh.newest_at is not None
    assert answer.fresh.newest_at.date() >= answer.record["period_end_on"][-1]


def test_answers_are_frozen(choose: Choose) -> None:
    with pytest.raises(FrozenInstanceError):
        answers.trust(choose("full")).caller_count = 0  # type: ignore[misc]


def test_a_fair_company_that_beats_naive_is_trusted(choose: Choose) -> None:
    answer = answers.trust(choose("fair"))
    assert answer.verdict.state == "trust"
    assert all(check.holds for check in answer.checks)


def test_stale_data_lower_the_verdict(choose: Choose) -> None:
    answer = answers.trust(choose("stale"))
    assert answer.fresh.is_stale
    assert answer.fresh.age_days == 40
    assert answer.verdict.reasons[0] == "stale"
    assert answer.verdict.state == "do_not_rely"


def test_two_quarters_are_not_a_history(choose: Choose) -> None:
    answer = answers.trust(choose("two_quarters"))
    assert answer.verdict.state == "not_enough_history"
    assert answer.expected.status == "not_enough_history"
    assert answer.expected.expected_amount is None
    assert answer.lowest_amount is None


def test_a_spreadsheet_is_read_at_the_lock_week_without_an_open_call(choose: Choose) -> None:
    answer = answers.trust(choose("records"))
    assert answer.context.week == 3
    assert answer.expected.status == "no_call"
    assert "no_call_now" in answer.verdict.reasons
    assert answer.summary.period_count == 8


# Forecasters


def test_those_who_differ_are_listed_by_estimate_and_the_departed_are_not(choose: Choose) -> None:
    answer = answers.forecasters(choose("full"))
    assert answer.differ == "differ"
    assert answer.rows["estimate"].is_sorted()
    assert answer.departed_count == 1
    assert "r04" not in answer.rows["forecaster_id"].to_list()
    assert sum(answer.counts.values()) == answer.drawable_count


def test_those_who_do_not_differ_are_listed_by_name_under_one_lean(choose: Choose) -> None:
    answer = answers.forecasters(choose("alike"))
    assert answer.differ == "no_evidence"
    assert answer.common is not None
    assert answer.rows["name"].is_sorted()


def test_two_quarters_say_nothing_of_differences(choose: Choose) -> None:
    answer = answers.forecasters(choose("two_quarters"))
    assert answer.differ == "too_little"
    assert set(answer.rows["word"]) == {"not_enough_history"}


def test_thousands_are_drawn_from_both_ends_and_listed_in_full(choose: Choose) -> None:
    answer = answers.forecasters(choose("many"))
    assert answer.drawn.height == answers.DRAWN
    assert answer.rows.height == 1_999
    assert answer.drawn["estimate"].is_sorted()
    assert answer.drawn["estimate"][0] == answer.rows["estimate"].min()


def test_certainty_is_cut_not_rounded(choose: Choose) -> None:
    sure = answers.forecasters(choose("full")).table["sure_rate"].drop_nulls()
    assert sure.max() == pytest.approx(0.99)


def test_one_forecasters_record(choose: Choose) -> None:
    answer = answers.forecaster(choose("full"), "r11")
    assert answer is not None
    assert answer.summary.period_count == 11, "the skipped quarter is not a call of zero"
    assert answer.bias is not None
    assert answer.bias["expected_count"] == 12
    assert answer.horizons["horizon_bucket"].to_list() == ["start", "lock", "middle", "late", "end"]
    assert answer.open_call is not None


def test_an_unknown_forecaster_has_no_answer(choose: Choose) -> None:
    assert answers.forecaster(choose("full"), "nobody") is None
    assert answers.forecaster(choose("full"), "company") is None


# Pages


@pytest.mark.parametrize("view", ["trust", "forecasters", "forecaster"])
@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "many"])
def test_every_page_of_every_company_draws(choose: Choose, view: str, name: str) -> None:
    at = page(view, choose(name), **({"forecaster": "r00"} if view == "forecaster" else {}))
    assert not at.exception
    assert not at.error
    assert len(at.title) == 1
    assert "None" not in words(at)
    assert "nan" not in words(at).split()


def test_thousands_do_not_break_the_page(choose: Choose) -> None:
    at = page("forecasters", choose("many"))
    assert not at.exception
    assert "The 30 lowest and 30 highest of" in words(at)


def test_trust_speaks_the_verdict_first_then_one_number_and_the_record(choose: Choose) -> None:
    at = page("trust", choose("full"))
    assert "Do not rely on it" in at.title[0].value
    assert "Expect about **$16.3M** of the $19.0M called" in words(at)
    assert "**All 12 past quarters** at this week landed at 82–97 %" in words(at)
    assert [tile.label for tile in at.metric] == [
        "Calls land at",
        "Typical miss",
        "Landed within 10\u00a0%",
        "Data freshness",
    ]


def test_without_calls_the_page_says_what_would_bring_them(choose: Choose) -> None:
    at = page("trust", choose("no_calls"))
    assert "no calls have landed" in at.title[0].value
    assert "forecast submissions" in words(at)
    assert not at.metric
    assert not at.get("plotly_chart")
    assert not page("forecasters", choose("no_calls")).get("plotly_chart")


def test_no_evidence_is_said_before_anybody_is_named(choose: Choose) -> None:
    at = page("forecasters", choose("alike"))
    assert at.header[0].value.startswith("No evidence that the 12 reps differ")


def test_one_forecaster_is_not_compared(choose: Choose) -> None:
    at = page("forecasters", choose("one_rep"))
    assert "One forecaster: there is nobody to compare with" in words(at)


def test_an_unknown_id_in_the_url_is_said_so(choose: Choose) -> None:
    at = page("forecaster", choose("full"), forecaster="<b>nobody</b>")
    assert not at.exception
    assert at.title[0].value == "This forecaster is not in the edition"
    assert "<b>" not in "".join(element.value for element in at.markdown).replace("\\<b\\>", "")


def test_a_departed_forecaster_keeps_a_page(choose: Choose) -> None:
    at = page("forecaster", choose("full"), forecaster="r04")
    assert "left Sep 2026" in words(at)
    assert at.get("plotly_chart")


def test_names_stand_as_they_are(choose: Choose) -> None:
    at = page("forecaster", choose("full"), forecaster="r06")
    assert at.title[0].value.replace("\\", "") == "Gus *Bold*"


def test_a_page_leaves_its_answer_as_it_was(choose: Choose) -> None:
    first = answers.trust(choose("full")).record
    page("trust", choose("full"))
    assert answers.trust(choose("full")).record.equals(first)
