"""One cached function per question a page asks. Keyed on the filters (which name the edition), never on a frame.

Answers are frozen and hold everything a page, a pack or a test needs; the arithmetic is the engine's. One answer serves
every reader as it is, without a copy for each: what is inside it is read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st

from dashboard import shelf, wording, wording_trust
from dashboard.answers_landing import outlook, past_ranges
from dashboard.filters import Filters
from dashboard.language import say
from pipelines.engine.expectation import (
    Expectation,
    RecordSummary,
    callers,
    expectation,
    fair_bounds,
    in_scope,
    lean_bounds,
    record,
    share_of,
    summarise,
    total,
)
from pipelines.engine.freshness import Freshness, freshness
from pipelines.engine.funnel import distances, funnel_limits
from pipelines.engine.outlook import Outlook
from pipelines.engine.verdict import Check, Evidence, Verdict, checks, differ, verdict
from pipelines.policy import COMPANY_SCOPE, DEFAULT_POLICY, Policy
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

DRAWN = 60
"""Forecasters drawn on one caterpillar; beyond it half from each end, and the table has all."""

NAMED = 3
FAR = 2.0
"""Own records named on the funnel: the few farthest out, at more than twice the distance of its edge."""

LOCK = "lock"


@dataclass(frozen=True)
class Context:
    """What an answer is about, for the line every tile stands under."""

    edition_id: str
    as_of_at: datetime
    currency: str
    is_simulated: bool
    noun: str
    layer: str
    category: str
    scope: str
    scope_name: str
    week: int
    lock_week: int
    period_start_on: date | None
    period_label: str | None
    days_left: int | None
    fair_bounds: tuple[float, float]
    lean_bounds: tuple[float, float]
    policy: Policy

    @property
    def frame(self) -> wording.Frame:
        return wording.Frame(
            noun=self.noun,
            week=self.week,
            currency=self.currency,
            period_label=self.period_label,
            min_periods=self.policy.min_periods_company,
            fair_zone=self.policy.fair_zone,
        )


@dataclass(frozen=True)
class OpenDeals:
    """What deals alone say: whether any landed, how many are open, and how many of those are past their close date."""

    has_deals: bool
    open_count: int
    open_amount: Decimal | None
    past_due_count: int
    past_due_amount: Decimal | None


@dataclass(frozen=True)
class TrustAnswer:
    """Whether the call can be believed. ``record``: engine.expectation.record plus ``label``, oldest first.

    ``lowest_amount`` and ``highest_amount``: the call × the landing rates that past periods kept between; null where
    the record is too short to be held against a call.
    ``outlook``: where the open period lands, or null where no range is issued; ``ranges``: those of past periods at the
    same week, oldest first (``answers_landing.past_ranges``).
    ``has_calls``: whether the edition holds any call at all; ``deals``: what is known without one.
    """

    context: Context
    verdict: Verdict
    checks: tuple[Check, ...]
    expected: Expectation
    summary: RecordSummary
    fresh: Freshness
    record: pl.DataFrame
    caller_count: int
    missing_count: int
    lowest_amount: Decimal | None
    highest_amount: Decimal | None
    quota_amount: Decimal | None
    has_calls: bool
    deals: OpenDeals
    outlook: Outlook | None
    ranges: pl.DataFrame

    @property
    def grounds(self) -> wording_trust.Grounds:
        held = None if self.outlook is None else self.outlook.held
        return wording_trust.Grounds(
            self.summary, self.expected, self.fresh, self.caller_count, self.missing_count, held
        )


@dataclass(frozen=True)
class ForecastersAnswer:
    """Who leans, which way, how surely; first whether they differ at all (``differ``).

    ``rows``: one per forecaster still there: ``forecaster_id``, ``name``, ``team``, ``kind`` (shape and colour),
    ``word``, ``estimate``, ``lower``, ``upper``, ``landing_rate``, ``own_error_rate``, ``period_count``,
    ``forecast_amount``, ``actual_amount``, ``sure_rate``; by estimate if they differ, else by name.
    ``drawn``: those of the ``drawable_count`` with an estimate that fit a chart. ``records``: those with an own record,
    their ``distance`` from the common lean (1 = on the funnel's edge) and a ``label`` for the farthest. ``table``: rows
    as shown in figures. ``common``: estimate, lower, upper, level.
    """

    context: Context
    differ: str
    common: tuple[float, float, float, float] | None
    between_sd: float | None
    forecaster_count: int
    period_count: int
    departed_count: int
    counts: dict[str, int]
    rows: pl.DataFrame
    drawn: pl.DataFrame
    drawable_count: int
    limits: pl.DataFrame
    funnel_level: float
    records: pl.DataFrame
    outside_count: int
    table: pl.DataFrame
    has_calls: bool


@dataclass(frozen=True)
class ForecasterAnswer:
    """One forecaster's record. ``bias``: the lock week's row of ``forecaster_bias``, or null where there is none; its
    ``unforecast_rate`` is the share of what landed in periods called at 0, null at or below ``unforecast_share``.

    ``horizons``: one row per horizon bucket; ``record`` as in ``TrustAnswer``, at the lock week.
    """

    context: Context
    forecaster_id: str
    name: str
    team: str | None
    region: str | None
    role: str | None
    hired_on: date | None
    left_on: date | None
    bias: dict[str, Any] | None
    word: str
    horizons: pl.DataFrame
    record: pl.DataFrame
    summary: RecordSummary
    open_call: Decimal | None


def trust(filters: Filters) -> TrustAnswer:
    """Can the call be believed, and how do we know?"""
    return _trust(_edition(filters), filters)


def forecasters(filters: Filters) -> ForecastersAnswer:
    """Who leans, which way, how surely, and do they differ at all?"""
    return _forecasters(_edition(filters), filters)


def forecaster(filters: Filters, forecaster_id: str) -> ForecasterAnswer | None:
    """What is this forecaster's pattern? None where the edition does not know the id."""
    return _forecaster(_edition(filters), filters, forecaster_id)


def _edition(filters: Filters) -> EditionRef:
    return shelf.edition(Workspace.at(), filters.edition_id)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _trust(ref: EditionRef, filters: Filters) -> TrustAnswer:
    policy = DEFAULT_POLICY
    table_status = shelf.table(ref, "table_status")
    scopes = shelf.table(ref, "scopes")
    running = running_period(ref)
    calls = _pairs(ref, filters, {"period_start_on": running["period_start_on"]}) if running else None
    calls = None if calls is None else calls.drop_nulls("forecast_amount")
    week = _week(ref, calls)
    context = context_of(ref, filters, week)
    pairs = _pairs(ref, filters, {"week_of_period": week})
    period = running["period_start_on"] if running else None
    open_pairs = pairs.filter(pl.lit(period is not None) & pl.col("period_start_on").eq_missing(pl.lit(period)))
    past = pairs.filter(pl.col("period_start_on").ne_missing(pl.lit(period)))
    rows = _labelled(ref, record(past, fair_zone=policy.fair_zone))
    summary = summarise(rows, level=policy.level)
    team = _team(ref, filters, week)
    call_amount = total(open_pairs["forecast_amount"])
    expected = expectation(
        call_amount=call_amount,
        estimate=team.get("estimate"),
        lower=team.get("lower"),
        upper=team.get("upper"),
        level=team.get("level"),
        has_history=team.get("status") == "ok",
    )
    departed = scopes.filter(pl.col("left_on").is_not_null())["scope"].to_list()
    caller_count, missing_count = (0, 0) if period is None else callers(pairs, period=period, departed=departed)
    recorded = pairs.filter((pl.col("source") == "records") & (pl.col("status") == "closed"))
    fresh = freshness(
        table_status,
        judged_on=ref.as_of_at.date() if filters.judged_on is None else filters.judged_on,
        stale_days=policy.stale_days,
        last_record_on=_latest(recorded["period_end_on"]),
    )
    quota = _quota(ref, filters)
    ahead = outlook(ref, filters, call_amount=call_amount, quota_amount=quota, level=policy.level)
    evidence = Evidence(
        has_call=call_amount is not None,
        period_count=summary.period_count,
        lower=expected.lower,
        upper=expected.upper,
        fair_count=summary.fair_count,
        skill_rate=summary.skill_rate,
        compared_count=summary.compared_count,
        gain_upper=summary.gain_upper,
        caller_count=caller_count,
        missing_count=missing_count,
        is_stale=fresh.is_stale,
        nothing_landed=team.get("status") == "nothing_landed",
        range_verdict=None if ahead is None or ahead.held is None else ahead.held.verdict,
    )
    return TrustAnswer(
        context=context,
        verdict=verdict(evidence, policy),
        checks=checks(evidence, policy),
        expected=expected,
        summary=summary,
        fresh=fresh,
        record=rows,
        caller_count=caller_count,
        missing_count=missing_count,
        lowest_amount=share_of(call_amount, summary.lowest_rate) if expected.status == "ok" else None,
        highest_amount=share_of(call_amount, summary.highest_rate) if expected.status == "ok" else None,
        quota_amount=quota,
        has_calls=not shelf.table(ref, "team_bias").is_empty() or call_amount is not None,
        deals=_open_deals(ref, has_deals=_landed(table_status, "opportunities")),
        outlook=ahead,
        ranges=pl.DataFrame() if ahead is None else past_ranges(ref, filters.scope, ahead),
    )


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _forecasters(ref: EditionRef, filters: Filters) -> ForecastersAnswer:
    policy = DEFAULT_POLICY
    team = _team(ref, filters, ref.lock_week)
    answer = differ(
        heterogeneity_p_value=team.get("heterogeneity_p_value"),
        between_status=str(team.get("between_status")),
        forecaster_count=team.get("forecaster_count", 0),
        period_count=team.get("period_count", 0),
        policy=policy,
    )
    common = None
    if team.get("status") == "ok":
        common = (team["estimate"], team["lower"], team["upper"], team["level"])
    bias = editions.read(
        ref,
        "forecaster_bias",
        where={"layer": filters.layer, "category": filters.category, "horizon_bucket": LOCK},
    )
    people = shelf.table(ref, "scopes").select("scope", "left_on", "team", name="scope_name")
    rows = bias.join(people, left_on="forecaster_id", right_on="scope", how="left").with_columns(
        name=pl.coalesce("name", "forecaster_id"),
        kind="direction",
        word=_word(),
        own_error_rate=pl.col("own_variance").sqrt(),
        # A share shown in whole percent is cut, never rounded up to certainty.
        sure_rate=((1 - pl.col("wrong_sign_rate")) * 100).floor().clip(0, 99) / 100,
    )
    if filters.scope != COMPANY_SCOPE:
        members = shelf.table(ref, "scope_members").filter(pl.col("scope") == filters.scope)["person_id"].unique()
        rows = rows.filter(pl.col("forecaster_id").is_in(members.to_list()))
    listed = rows.filter(pl.col("left_on").is_null() | (pl.col("left_on") > ref.as_of_at.date()))
    order = ["estimate", "name"] if answer == "differ" else ["name"]
    listed = listed.sort(order, nulls_last=True, maintain_order=True)
    drawable = listed.drop_nulls(["estimate", "lower", "upper"])
    centre = common[0] if common else 0.0
    # The funnel speaks with the same one error in twenty as the question whether people differ at all.
    level = 1 - policy.flag_mean_lfsr
    records = distances(listed, common=centre, level=level).drop_nulls("distance")
    far = records.filter(pl.col("distance") > FAR).sort("distance", descending=True)
    named = far["forecaster_id"].head(NAMED).to_list()
    return ForecastersAnswer(
        context=context_of(ref, filters, ref.lock_week),
        differ=answer,
        common=common,
        between_sd=team.get("between_sd"),
        forecaster_count=team.get("forecaster_count", 0),
        period_count=team.get("period_count", 0),
        departed_count=rows.height - listed.height,
        counts=dict(drawable["kind"].value_counts().iter_rows()),
        rows=listed,
        drawn=_drawn(drawable, both_ends=answer == "differ"),
        drawable_count=drawable.height,
        limits=funnel_limits(listed["own_error_rate"], common=centre, level=level),
        funnel_level=level,
        records=records.with_columns(label=pl.when(pl.col("forecaster_id").is_in(named)).then("name")),
        outside_count=records.filter(pl.col("distance") > 1).height,
        table=_table(listed),
        has_calls=not shelf.table(ref, "team_bias").is_empty() or not bias.is_empty(),
    )


@st.cache_resource(max_entries=1024, show_spinner=False, hash_funcs=shelf.KEYS)
def _forecaster(ref: EditionRef, filters: Filters, forecaster_id: str) -> ForecasterAnswer | None:
    grain = {"layer": filters.layer, "category": filters.category, "forecaster_id": forecaster_id}
    people = shelf.table(ref, "scopes").filter((pl.col("scope") == forecaster_id) & (pl.col("scope") != COMPANY_SCOPE))
    unforecast = pl.col("unforecast_amount").cast(pl.Float64) / pl.col("actual_amount").cast(pl.Float64)
    remarkable = (pl.col("actual_amount") > 0) & (unforecast > DEFAULT_POLICY.unforecast_share)
    bias = (
        editions.read(ref, "forecaster_bias", where=grain)
        .with_columns(word=_word(), unforecast_rate=pl.when(remarkable).then(unforecast))
        .sort("week_of_period")
    )
    if people.is_empty() and bias.is_empty():
        return None
    person = people.row(0, named=True) if not people.is_empty() else {}
    at_lock = bias.filter(pl.col("horizon_bucket") == LOCK)
    pairs = editions.read(ref, "forecast_pairs", where={**grain, "week_of_period": ref.lock_week})
    rows = _labelled(ref, record(pairs, fair_zone=DEFAULT_POLICY.fair_zone))
    is_open = pl.col("period_start_on") == ref.open_period_start_on
    return ForecasterAnswer(
        context=context_of(ref, filters, ref.lock_week),
        forecaster_id=forecaster_id,
        name=person.get("scope_name") or forecaster_id,
        team=person.get("team"),
        region=person.get("region"),
        role=person.get("role"),
        hired_on=person.get("hired_on"),
        left_on=person.get("left_on"),
        bias=None if at_lock.is_empty() else at_lock.row(0, named=True),
        word="no_call" if at_lock.is_empty() else str(at_lock["word"][0]),
        horizons=bias.drop_nulls(["estimate", "lower", "upper"]),
        record=rows,
        summary=summarise(rows, level=DEFAULT_POLICY.level),
        open_call=total(pairs.filter(is_open & (pl.col("status") == "open"))["forecast_amount"]),
    )


def _word() -> pl.Expr:
    """The one word for a forecaster: the direction, or what kept it from being given."""
    withheld = pl.col("status").is_in(["not_enough_history", "nothing_landed", "no_call"])
    unsaid = pl.col("direction") == "not_enough_evidence"
    return pl.when(withheld & unsaid).then("status").otherwise("direction")


def _table(rows: pl.DataFrame) -> pl.DataFrame:
    """What the grid shows of everybody: words, rates in whole percent, money to the cent."""
    rates = ["estimate", "lower", "upper", "landing_rate", "sure_rate", "own_weight_rate"]
    columns = ["name", "team", "word", *rates[:3], "period_count", *rates[3:], "forecast_amount", "actual_amount"]
    return rows.select(columns).with_columns(pl.col(rates).round(2), word=pl.col("word").replace(wording.DIRECTIONS))


def _drawn(rows: pl.DataFrame, *, both_ends: bool) -> pl.DataFrame:
    if rows.height <= DRAWN:
        return rows
    return pl.concat([rows.head(DRAWN // 2), rows.tail(DRAWN // 2)]) if both_ends else rows.head(DRAWN)


def _pairs(ref: EditionRef, filters: Filters, where: dict[str, object]) -> pl.DataFrame:
    grain = {"layer": filters.layer, "category": filters.category}
    pairs = editions.read(ref, "forecast_pairs", where={**grain, **where})
    return in_scope(pairs, shelf.table(ref, "scope_members"), filters.scope)


def _latest(days: pl.Series) -> date | None:
    return max(days.to_list(), default=None)


def running_period(ref: EditionRef) -> dict[str, Any] | None:
    """The period that contains the as-of, if its outcome is not known yet: a spreadsheet's last quarter is closed on
    its last day, and what has landed is not to be expected."""
    periods = shelf.table(ref, "periods").filter(
        (pl.col("period_start_on") == ref.open_period_start_on) & (pl.col("status") != "closed")
    )
    return periods.row(0, named=True) if periods.height else None


def _week(ref: EditionRef, calls: pl.DataFrame | None) -> int:
    """The latest week of the open period with a call in force, else the lock week: the record is read at the same."""
    weeks = [] if calls is None else calls["week_of_period"].to_list()
    known = [week for week in weeks if ref.open_period_week is None or week <= ref.open_period_week]
    return max(known, default=ref.lock_week)


def _team(ref: EditionRef, filters: Filters, week: int) -> dict[str, Any]:
    found = shelf.table(ref, "team_bias").filter(
        (pl.col("scope") == filters.scope)
        & (pl.col("layer") == filters.layer)
        & (pl.col("category") == filters.category)
        & (pl.col("week_of_period") == week)
    )
    return found.row(0, named=True) if found.height else {}


def _labelled(ref: EditionRef, rows: pl.DataFrame) -> pl.DataFrame:
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    return rows.join(labels, on="period_start_on", how="left", maintain_order="left")


def _quota(ref: EditionRef, filters: Filters) -> Decimal | None:
    """The quota of the open period: of the people without reports, whose quotas do not contain each other."""
    reps = shelf.table(ref, "scopes").filter(pl.col("scope_kind") == "rep")["scope"].to_list()
    quotas = shelf.table(ref, "quotas").filter(
        (pl.col("period_start_on") == ref.open_period_start_on) & pl.col("person_id").is_in(reps)
    )
    members = shelf.table(ref, "scope_members")
    return total(in_scope(quotas.rename({"person_id": "forecaster_id"}), members, filters.scope)["quota_amount"])


def _open_deals(ref: EditionRef, *, has_deals: bool) -> OpenDeals:
    deals = editions.read(ref, "deals", columns=["amount", "is_past_due"])
    late = deals.filter("is_past_due")
    return OpenDeals(has_deals, deals.height, total(deals["amount"]), late.height, total(late["amount"]))


def _landed(table_status: pl.DataFrame, name: str) -> bool:
    return not table_status.filter((pl.col("table_name") == name) & (pl.col("row_count") > 0)).is_empty()


def context_of(ref: EditionRef, filters: Filters, week: int) -> Context:
    period = running_period(ref) or {}
    names = shelf.table(ref, "scopes").filter(pl.col("scope") == filters.scope)["scope_name"].to_list()
    ends_on = period.get("period_end_on")
    return Context(
        edition_id=ref.edition_id,
        as_of_at=ref.as_of_at,
        currency=ref.reporting_currency,
        is_simulated=ref.is_simulated,
        noun=ref.period_kind,
        layer=filters.layer,
        category=filters.category,
        scope=filters.scope,
        scope_name=say("whole company") if filters.scope == COMPANY_SCOPE or not names else names[0],
        week=week,
        lock_week=ref.lock_week,
        period_start_on=period.get("period_start_on"),
        period_label=period.get("label"),
        days_left=None if ends_on is None else max((ends_on - ref.as_of_at.date()).days, 0),
        fair_bounds=fair_bounds(DEFAULT_POLICY.fair_zone),
        lean_bounds=lean_bounds(DEFAULT_POLICY.fair_zone),
        policy=DEFAULT_POLICY,
    )
