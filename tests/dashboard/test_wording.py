"""Sentences: singular, plural, too little, exactly on, zero, improving, worsening, missing; and never an accusation."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from dashboard import wording, wording_forecasters, wording_trust
from pipelines.engine.expectation import Expectation, RecordSummary, expectation
from pipelines.engine.freshness import Freshness
from pipelines.engine.verdict import STATES, Check, Verdict
from pipelines.policy import DEFAULT_POLICY

FRAME = wording.Frame("quarter", 5, "USD", "Q4 2026", min_periods=4, fair_zone=0.10)
SUMMARY = RecordSummary(
    period_count=12,
    fair_count=8,
    high_count=9,
    low_count=3,
    wape_rate=0.11,
    compared_count=11,
    naive_wape_rate=0.182,
    skill_rate=0.4,
    gain_lower=0.01,
    gain_upper=0.1,
    level=0.8,
    lowest_rate=0.77,
    highest_rate=0.99,
    inside_count=12,
    recent_wape_rate=0.156,
    earlier_wape_rate=0.043,
)
EXPECTED = expectation(
    call_amount=Decimal(18700000), estimate=0.9, lower=0.873, upper=0.929, level=0.8, has_history=True
)
FRESH = Freshness(datetime.fromisoformat("2026-11-08T09:00"), date(2026, 11, 9), 1, False)
GROUNDS = wording_trust.Grounds(SUMMARY, EXPECTED, FRESH, caller_count=39, missing_count=1)


def spaced(text: str) -> str:
    """With plain spaces, to be read in a test."""
    return wording.plain(text).replace("\u00a0", " ")


# Leans


def test_a_lean_is_how_far_the_call_exceeds_what_lands() -> None:
    # of 100 called 80 land: the call exceeds that by 20 ÷ 80
    assert wording.lean_rate(0.8) == pytest.approx(0.25)
    assert wording.lean_rate(1.25) == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        (0.806, 0.893, "run high by 12–24 %"),
        (1.05, 1.25, "run low by 5–20 %"),
        (0.9, 1.05, "run between 5 % low and 11 % high"),
        (0.999, 1.001, "land as called"),
        (1.0, 1.0, "land as called"),
        (0.92, 1.0, "run high by up to 9 %"),
        (1.0, 1.1, "run low by up to 9 %"),
        (0.8, 0.8, "run high by 25 %"),
        (0.0, 0.5, "run high by at least 100 %"),
        (0.0, 0.0, "land nothing"),
    ],
)
def test_lean_range(lower: float, upper: float, said: str) -> None:
    assert spaced(wording.lean_range(lower, upper)) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [(0.8, "25 % high"), (1.25, "20 % low"), (1.0, "as called"), (0.999, "as called"), (0.0, "nothing landed")],
)
def test_lean_point(rate: float, said: str) -> None:
    assert spaced(wording.lean_point(rate)) == said


def test_a_missing_lean_is_an_em_dash() -> None:
    assert wording.lean_point(None) == "—"


@pytest.mark.parametrize(
    ("level", "said"),
    [(0.8, "4 times in 5"), (0.5, "1 time in 2"), (0.9, "9 times in 10"), (0.95, "19 times in 20"), (0.83, "83 %")],
)
def test_how_often(level: float, said: str) -> None:
    assert spaced(wording.how_often(level)).startswith(said)


@pytest.mark.parametrize(
    ("inside", "total", "said"),
    [
        (1, 1, "the one past quarter"),
        (2, 2, "both past quarters"),
        (12, 12, "all 12 past quarters"),
        (17, 19, "17 of 19 past quarters"),
    ],
)
def test_all_or_some(inside: int, total: int, said: str) -> None:
    assert wording.all_or_some(inside, total, "quarter") == said


# Verdict


@pytest.mark.parametrize(
    ("state", "reasons", "said"),
    [
        ("trust", ("on_record",), "Trust: 8 of 12 quarters landed within 10 % of the call."),
        ("trust", ("no_call_now",), "Trust: 8 of 12 quarters landed within 10 % of the call."),
        ("trust_with_care", ("runs_high",), "Trust with care: on average, calls at this week run high by 8–15 %."),
        ("trust_with_care", ("scattered",), "Trust with care: only 8 of 12 quarters landed within 10 % of the call."),
        ("trust_with_care", ("missing_calls",), "Trust with care: 1 of 40 who usually call by now have not."),
        (
            "do_not_rely",
            ("stale", "runs_high"),
            "Do not rely on it: the newest recorded fact is 1 day old, and on average, calls at this week run high by "
            "8–15 %.",
        ),
        (
            "do_not_rely",
            ("worse_than_naive",),
            "Do not rely on it: repeating last year's same quarter would have been closer.",
        ),
        (
            "not_enough_history",
            ("few_periods",),
            "Not enough history to say: 12 quarters closed with calls at this week, 4 are needed.",
        ),
    ],
)
def test_verdict_sentence(state: str, reasons: tuple[str, ...], said: str) -> None:
    assert spaced(wording_trust.verdict_sentence(Verdict(state, reasons), FRAME, GROUNDS)) == said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("same_period_last_year", "repeating last year's same quarter would"),
        ("previous_period", "repeating the quarter before would"),
        ("mixed", "repeating last year's same quarter (or the one before) would"),
    ],
)
def test_the_naive_forecast_is_named_for_what_it_repeats(kind: str, said: str) -> None:
    grounds = replace(GROUNDS, summary=replace(SUMMARY, naive_kind=kind))
    assert wording_trust.reason("worse_than_naive", FRAME, grounds).startswith(said)


def test_every_code_of_the_engine_has_a_clause() -> None:
    documented = set(re.findall(r"``(\w+)``", inspect.getdoc(Verdict) or "")) - {"state", "STATES", "reasons"}
    assert len(documented) >= 13
    for code in documented:
        assert len(wording_trust.reason(code, FRAME, GROUNDS)) > 10, code
    assert set(wording.VERDICTS) == set(STATES)


@pytest.mark.parametrize(
    ("days", "said"),
    [(1, "1 day"), (59, "59 days"), (60, "2 months"), (729, "24 months"), (730, "2 years"), (2_426, "6 years")],
)
def test_lapse(days: int, said: str) -> None:
    assert wording_trust.lapse(days) == said


def test_few_periods_in_the_singular_and_none() -> None:
    one = replace(GROUNDS, summary=replace(SUMMARY, period_count=1))
    none = replace(GROUNDS, summary=replace(SUMMARY, period_count=0))
    assert wording_trust.reason("few_periods", FRAME, one) == "1 quarter closed with calls at this week, 4 are needed"
    assert wording_trust.reason("few_periods", FRAME, none).startswith("no quarters closed")


def test_a_lean_that_has_no_rate_is_not_said_to_need_more_quarters() -> None:
    assert "needed" not in wording_trust.check_sentence(Check("lean", None), FRAME, GROUNDS)
    young = replace(GROUNDS, summary=replace(SUMMARY, period_count=3))
    assert "4 quarters are needed" in wording_trust.check_sentence(Check("lean", None), FRAME, young)


@pytest.mark.parametrize("name", ["lean", "close", "skill", "complete", "fresh"])
@pytest.mark.parametrize("holds", [True, False, None])
def test_every_check_is_a_sentence(name: str, holds: bool | None) -> None:
    sentence = wording_trust.check_sentence(Check(name, holds), FRAME, GROUNDS)
    assert sentence.endswith(".")
    assert sentence[0].isupper() or sentence[0].isdigit()


# Line 2


def test_one_expected_number_and_the_record_beside_it() -> None:
    said = wording_trust.expected_sentence(
        EXPECTED, FRAME, summary=SUMMARY, lowest_amount=Decimal(14400000), highest_amount=Decimal(18500000)
    )
    assert spaced(said) == (
        "Expect about $16.8M of the $18.7M called: calls at week 5 have landed at 90 % on average. "
        "All 12 past quarters at this week landed at 77–99 % of the call: here $14.4M to $18.5M."
    )
    assert said.count(wording.BOLD) % 2 == 0


def test_the_interval_of_the_average_is_never_offered_as_a_range_of_the_quarter() -> None:
    said = wording_trust.expected_sentence(
        EXPECTED, FRAME, summary=SUMMARY, lowest_amount=Decimal(14400000), highest_amount=Decimal(18500000)
    )
    assert "$16.3M" not in said
    assert "$17.4M" not in said


@pytest.mark.parametrize(
    ("status", "call", "start"),
    [
        ("no_call", None, "No call has been made for Q4 2026 at this week. Such calls have landed at 90 % on average."),
        ("not_enough_history", Decimal(5_000_000), "$5.00M is called for Q4 2026; what such calls land at cannot be"),
    ],
)
def test_line_two_without_a_call_or_a_history(status: str, call: Decimal | None, start: str) -> None:
    estimate = 0.9 if status == "no_call" else None
    bare = Expectation(call, estimate, None, None, None, None, None, None, status)
    said = spaced(
        wording_trust.expected_sentence(bare, FRAME, summary=SUMMARY, lowest_amount=None, highest_amount=None)
    )
    assert said.startswith(start)
    assert "here" not in said


def test_one_past_quarter_is_no_range() -> None:
    one = replace(SUMMARY, period_count=1, inside_count=1, lowest_rate=0.9, highest_rate=0.9)
    bare = Expectation(Decimal(5), None, None, None, None, None, None, None, "not_enough_history")
    said = spaced(wording_trust.expected_sentence(bare, FRAME, summary=one, lowest_amount=None, highest_amount=None))
    assert said.endswith("The one past quarter at this week landed at 90 % of the call.")


def test_no_past_quarter_says_nothing_of_one() -> None:
    none = replace(SUMMARY, period_count=0, inside_count=0, lowest_rate=None, highest_rate=None)
    bare = Expectation(Decimal(5), None, None, None, None, None, None, None, "not_enough_history")
    assert "past" not in wording_trust.expected_sentence(
        bare, FRAME, summary=none, lowest_amount=None, highest_amount=None
    )


# Cards, titles, alternative texts


def test_cards_state_their_n() -> None:
    cards = wording_trust.trust_cards(FRAME, summary=SUMMARY, expected=EXPECTED, fresh=FRESH, fair=[True, False, None])
    assert [card.value.replace("\u00a0", " ") for card in cards] == ["90 %", "11.0 %", "8 of 12", "1 day"]
    assert "12 quarters" in cards[0].note
    assert "11 quarters" in cards[1].note
    assert cards[2].note == "●◇·"


def test_cards_of_a_young_company_show_dashes_not_zeros() -> None:
    young = replace(SUMMARY, period_count=0, fair_count=0, wape_rate=None, naive_wape_rate=None)
    bare = Expectation(None, None, None, None, None, None, None, None, "no_call")
    lost = Freshness(None, date(2026, 11, 9), None, True)
    cards = wording_trust.trust_cards(FRAME, summary=young, expected=bare, fresh=lost, fair=[])
    assert [card.value for card in cards] == ["—"] * 4


@pytest.mark.parametrize(
    ("recent", "earlier", "word"), [(0.05, 0.10, "shrank"), (0.10, 0.05, "grew"), (0.05, 0.0501, "unchanged")]
)
def test_trend(recent: float, earlier: float, word: str) -> None:
    said = wording_trust.trend(replace(SUMMARY, recent_wape_rate=recent, earlier_wape_rate=earlier))
    assert said is not None
    assert word in said


def test_no_trend_from_too_few() -> None:
    assert wording_trust.trend(replace(SUMMARY, recent_wape_rate=None)) is None


@pytest.mark.parametrize(
    ("total", "high", "low", "said"),
    [
        (0, 0, 0, "No closed quarter has a call at this week yet"),
        (1, 1, 0, "One closed quarter so far: the call was above what landed"),
        (1, 0, 0, "One closed quarter so far: the call was exactly what landed"),
        (12, 12, 0, "In all 12 quarters the call was above what landed"),
        (12, 0, 12, "In all 12 quarters the call was below what landed"),
        (12, 9, 3, "In 9 of 12 quarters the call was above what landed"),
        (12, 3, 9, "In 9 of 12 quarters the call was below what landed"),
        (12, 6, 6, "Calls landed on either side equally: 6 of 12 quarters ran high"),
        (4, 0, 0, "In all 4 quarters the call was exactly what landed"),
    ],
)
def test_record_title(total: int, high: int, low: int, said: str) -> None:
    summary = replace(SUMMARY, period_count=total, high_count=high, low_count=low)
    assert wording_trust.record_title(summary, "quarter") == said
    assert len(said) <= wording.TITLE_LENGTH


def test_record_alt_holds_every_number() -> None:
    rows = [("Q3 2026", Decimal(15_000_000), Decimal(11_500_000), 0.7667)]
    said = spaced(wording_trust.record_alt(rows, FRAME, EXPECTED))
    assert "Q3 2026 called $15.0M, landed $11.5M (30 % high)" in said
    assert said.endswith("Q4 2026 called $18.7M, expected to land at about $16.8M.")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((15, 3, 2, 20), "15 run high, 3 run low, 2 are fair, for 20 not enough evidence"),
        ((1, 0, 1, 0), "1 runs high, 1 is fair"),
        ((0, 0, 0, 5), "For nobody is there enough evidence of a lean"),
        ((0, 0, 0, 1), "Not enough evidence of a lean"),
        ((0, 0, 0, 0), "No forecaster to show"),
    ],
)
def test_counts_title(counts: tuple[int, int, int, int], said: str) -> None:
    assert wording_forecasters.counts_title(*counts) == said


def test_a_title_never_runs_over() -> None:
    assert len(wording_forecasters.counts_title(12_345, 12_345, 12_345, 12_345)) <= wording.TITLE_LENGTH
    assert len(wording_forecasters.funnel_title(12_345, 20_000, 0.95)) <= wording.TITLE_LENGTH


@pytest.mark.parametrize(
    ("outside", "total", "said"),
    [
        (0, 0, "No own record to draw yet"),
        (0, 9, "Every own record lies where chance alone could put it"),
        (1, 4, "1 of 4 records lies outside; chance alone puts under 1 there"),
        (15, 38, "15 of 38 records lie outside; chance alone puts 2 there"),
    ],
)
def test_funnel_title(outside: int, total: int, said: str) -> None:
    assert wording_forecasters.funnel_title(outside, total, 0.95) == said


# Forecasters


def test_no_evidence_is_said_first_with_the_common_lean() -> None:
    said = spaced(
        wording_forecasters.differ_sentence(
            "no_evidence",
            FRAME,
            forecaster_count=40,
            period_count=12,
            common=(0.87, 0.84, 0.90, 0.8),
            layer="rep",
        )
    )
    assert said.startswith("No evidence that the 40 reps differ. One lean fits all of them: $0.87 of each $1.00 called")
    assert "by name" in wording_forecasters.differ_detail("no_evidence", 0.02)


@pytest.mark.parametrize(
    ("answer", "count", "start"),
    [
        ("differ", 40, "Forecasters differ by more than chance."),
        ("too_little", 40, "Too little history to say whether the 40 reps differ."),
        ("too_little", 1, "One forecaster: there is nobody to compare with."),
        ("too_little", 0, "Nobody has called at this layer"),
        ("no_evidence", 3, "No evidence that the 3 reps differ"),
    ],
)
def test_first_line_without_a_common_lean(answer: str, count: int, start: str) -> None:
    said = wording_forecasters.differ_sentence(
        answer, FRAME, forecaster_count=count, period_count=2, common=None, layer="rep"
    )
    assert said.startswith(start)
    assert said.endswith(".")


def test_the_sentence_of_a_forecaster() -> None:
    said = wording_forecasters.forecaster_sentence(
        "Ann", FRAME, estimate=0.82, lower=0.71, upper=0.94, level=0.8, period_count=7
    )
    assert spaced(said) == "For every $1.00 Ann calls, $0.82 lands (4 times in 5 between $0.71 and $0.94; 7 quarters)."
    missing = wording_forecasters.forecaster_sentence(
        "Ann", FRAME, estimate=None, lower=None, upper=None, level=None, period_count=1
    )
    assert missing.startswith("1 quarter with a call and a landing: too little")


@pytest.mark.parametrize(
    ("direction", "status", "said"),
    [
        ("runs_high", "ok", "Calls run high by 6–41 %: 97 % sure of the direction."),
        ("fair", "ok", "Calls are fair: within 10 % of what lands."),
        ("not_enough_evidence", "ok", "Not enough evidence of a lean either way."),
        ("not_enough_evidence", "not_enough_history", "Not enough history for a word: 6 closed quarters"),
        ("not_enough_evidence", "no_call", "No call above zero yet that a closed quarter could be held against."),
        ("not_enough_evidence", "nothing_landed", "Nothing called has landed yet"),
        ("runs_high", "nothing_landed", "Nothing called has landed: 97 % sure that calls run high."),
    ],
)
def test_the_word_for_a_forecaster(direction: str, status: str, said: str) -> None:
    found = wording_forecasters.forecaster_word(
        FRAME,
        direction=direction,
        status=status,
        lower=0.71,
        upper=0.94,
        wrong_sign_rate=0.03,
        min_periods_label=6,
    )
    assert spaced(found).startswith(said)


def test_certainty_is_never_claimed() -> None:
    assert spaced(wording_forecasters.sure(0.0000001)) == "more than 99 %"
    assert spaced(wording_forecasters.sure(0.03)) == "97 %"


def test_no_size_is_put_on_a_record_without_a_landing() -> None:
    said = wording_forecasters.forecaster_sentence(
        "Ann", FRAME, estimate=0.2, lower=0.1, upper=0.4, level=0.8, period_count=6, status="nothing_landed"
    )
    assert said.startswith("Nothing of what Ann called in 6 quarters landed;")
    assert "0.2" not in said


def test_what_landed_uncalled_is_remarked_on() -> None:
    facts = {"own_weight_rate": 0.7, "called": 5, "expected": 6, "noun": "quarter"}
    said = spaced(wording_forecasters.forecaster_facts("Ann", **facts, unforecast_rate=0.156))
    assert said.endswith("A call was made in 5 of 6 quarters. 16 % of what landed came in quarters called at zero.")
    assert "called at zero" not in wording_forecasters.forecaster_facts("Ann", **facts)


def test_who_is_drawn_and_who_is_not() -> None:
    assert wording_forecasters.shown_of(38, 38, listed=38, ranked=True, departed=0) == ""
    said = wording_forecasters.shown_of(60, 1_998, listed=2_000, ranked=True, departed=1)
    assert said == (
        "The 30 lowest and 30 highest of 1,998 are drawn; the table has all. 2 have too short a record to draw. "
        "1 who has left counts in the pool and is not listed."
    )
    assert "by name" in wording_forecasters.shown_of(60, 70, listed=70, ranked=False, departed=0)


def test_deals_alone() -> None:
    assert spaced(wording_trust.open_deals(1, Decimal(5_000), 0, None, "USD")) == (
        "What is known: 1 deal is open worth $5.00K; none is past its close date."
    )
    assert "3 ($2.00M) are past" in wording_trust.open_deals(9, Decimal(9_000_000), 3, Decimal(2_000_000), "USD")


# Manner


def test_markdown_lets_nothing_of_a_name_through() -> None:
    said = wording.markdown(f"{wording.bold('Gus *Bold*')} called $5M and $6M <b>")
    assert said.startswith("**Gus \\*Bold\\***")
    assert "\\$5M" in said
    assert "\\<b\\>" in said


def test_no_word_accuses() -> None:
    text = inspect.getsource(wording).lower()
    for word in ("liar", "sandbag", "happy ears", "optimis", "pessimis", "dishonest", "blame", "guilty", "cheat"):
        assert word not in text, word


def test_minus_is_a_real_minus() -> None:
    rows = [
        {
            "label": "Q3 2026",
            "call_amount": Decimal(1),
            "landed_amount": Decimal(2),
            "error_amount": Decimal(-1),
            "landing_rate": 2.0,
            "caller_count": 3,
            "missing_count": 0,
        }
    ]
    (cells,) = wording_trust.record_rows(rows, "USD", callers=True)
    assert cells[3] == "−$1.00"
    assert len(cells) == 1 + len(wording_trust.RECORD_COLUMNS)


def test_what_a_word_takes_follows_the_policy() -> None:
    said = wording_forecasters.what_a_word_takes(
        replace(DEFAULT_POLICY, min_periods_label=9, flag_mean_lfsr=0.1), "month"
    )
    assert "under 9 closed months" in said
    assert "1 in 10" in said
