"""Where the open period lands, what was said at the same weeks of past periods, and whether those ranges held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime

import dataframely as dy
import polars as pl

from pipelines.contracts import CALL_CATEGORIES, LAYERS, MONEY, Deals
from pipelines.engine.coverage import backtest_rows, coverage, naive_crps
from pipelines.engine.deal_book import ODDS, LandingInputs, LandingPolicy
from pipelines.engine.landing import LandingResult, landing, landing_backtest, seed_of
from pipelines.landing_contracts import (
    LANDING_TABLES,
    Coverage,
    Landing,
    LandingBacktest,
    LandingDots,
    LandingQuantiles,
    LandingSwings,
)
from pipelines.measures.process import periods_per_year
from pipelines.policy import COMPANY_SCOPE, Policy
from pipelines.scenario_contracts import SCENARIO_TABLES
from pipelines.side_by_side import ahead, side_by_side
from pipelines.warehouse.books import booked_amounts, covered_periods
from pipelines.warehouse.deal_states import deal_states, periods_seen
from pipelines.warehouse.landing_looks import landing_looks, members_by_week
from pipelines.warehouse.miss_facts import known_since
from pipelines.warehouse.prepared import Prepared

SEED_WORDS = ("landing",)
"""With the period and the week, all that the draws depend on: what is said of a week is said again of it for good."""

BACKTEST_DRAWS = 1000
"""Draws of a past landing: its ends move by about 1 % of the range between seeds, and there are dozens of them."""

BACKTEST_CELLS = 20_000_000
"""Deals × draws of a past landing: beyond it fewer draws, but never under a quarter. A company with 20,000 deals open
at once has all its draws; one with 80,000 or more has 250 and ends that move by about 2 % of the range."""

LOCK_ODDS = ("period_start_on", "opportunity_id", "win_probability_rate")

BENCHES = 100
"""Scopes with draws for scenarios: 4,000 numbers each, so that the largest company's edition grows by 3 MB."""

IN_FULL = ("company", "executive", "manager")
"""Kinds of scope whose quantiles are published for each method; of a rep, ``combined`` alone."""


STATES = (
    "period_start_on", "week_of_period", "until_at", "opportunity_id", "existed", "won_by_week", "lock_owner_id",
    "lock_stage", "lock_amount", "is_due", "age_days", "sales_motion", "outcome", "end_owner_id", "end_amount",
    "end_on",
)  # fmt: skip
"""What is kept of ``deal_states``: six looks at each of a dozen periods' deals, so names and reasons stay behind."""


@dataclass(frozen=True)
class LandingFacts:
    """Everything landings are made from.

    ``states_at``: week → warehouse.deal_states, fetched when asked for: all weeks of a large company at once fill
    gigabytes; ``seen``: the periods with a deal at any of the weeks; ``looks``: warehouse.landing_looks; ``calls``:
    period × week × forecaster of one layer and category (``forecaster_id, forecast_amount``); ``recorded``: period ×
    forecaster, ``actual_amount`` stated by records; ``quotas``: period × person, ``quota_amount``; ``members``: week →
    period × person × scope.
    ``booked``: where bookings count as landed, period × person (null: tied to no deal), ``end_amount``; ``covered``:
    the periods the books cover; both null where closed won counts. Deals are still drawn as the CRM closes them: how
    well that foretells the books is what the backtest shows.
    ``recorded_from``: since when changes of both stage and close date are written down; before it (or where it is null)
    a deal's last values are carried back, whatever was won seems to have been due, and no range is made of that.
    """

    states_at: Callable[[int], pl.DataFrame]
    seen: pl.DataFrame
    looks: pl.DataFrame
    calls: pl.DataFrame
    recorded: pl.DataFrame
    quotas: pl.DataFrame
    members: Mapping[int, pl.DataFrame]
    recorded_from: datetime | None
    booked: pl.DataFrame | None = None
    covered: pl.DataFrame | None = None

    def at_week(self, week: int) -> LandingInputs:
        """Every period seen at this week, as ``engine.deal_book`` asks for.

        Owners are those with an open deal, a deal won or a call by then: who has left keeps no share of new business,
        and who has yet to come gets none.
        """
        states = self.states_at(week)
        looks = self.looks.filter(pl.col("week_of_period") == week)
        calls = self.calls.filter(pl.col("week_of_period") == week)
        as_believed = pl.col("until_at") > pl.lit(self.recorded_from, pl.Datetime("us"))
        open_then = states.filter("existed", ~pl.col("won_by_week"), as_believed).join(
            looks.select("period_start_on", "horizon_days", "origin_at"), on="period_start_on"
        )
        won_by_then = states.filter("existed", "won_by_week")
        members = self.members[week]
        present = pl.concat(
            [
                open_then.select("period_start_on", person_id="lock_owner_id"),
                won_by_then.select("period_start_on", person_id="lock_owner_id"),
                calls.select("period_start_on", person_id="forecaster_id"),
            ]
        ).unique()
        on_day = pl.col("origin_at").dt.date().dt.offset_by("-1d")
        return LandingInputs(
            periods=looks.select(
                "period_start_on",
                "origin_at",
                "closed_at",
                "horizon_days",
                run_rate=pl.col("created_count").cast(pl.Float64),
            ),
            deals=open_then.select(
                "period_start_on",
                "opportunity_id",
                "sales_motion",
                "is_due",
                "age_days",
                "outcome",
                owner_id="lock_owner_id",
                stage="lock_stage",
                amount="lock_amount",
                # A close dated back before the look became known after it: it still took a day.
                follow_up_days=(pl.col("end_on") - on_day).dt.total_days().clip(lower_bound=1),
                final_amount=pl.when(pl.col("outcome") == "won").then("end_amount"),
            ),
            new_business=states.filter(~pl.col("existed"), pl.col("outcome") == "won").select(
                "period_start_on", owner_id="end_owner_id", amount="end_amount"
            ),
            closed=won_by_then.group_by("period_start_on", owner_id="lock_owner_id").agg(
                closed_amount=pl.col("lock_amount").sum()
            ),
            calls=self._lines(states, calls, members),
            scope_members=members.join(present, on=["period_start_on", "person_id"]),
        )

    def _lines(self, states: pl.DataFrame, calls: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
        """Period × scope: what its people called, were asked for, and won."""
        key = ["period_start_on", "scope"]
        called = calls.join(
            members, left_on=["period_start_on", "forecaster_id"], right_on=["period_start_on", "person_id"]
        )
        asked = self.quotas.join(members, on=["period_start_on", "person_id"])
        lines = (
            members.select(key)
            .unique()
            .join(called.group_by(key).agg(call_amount=_known_sum("forecast_amount")), on=key, how="left")
            .join(asked.group_by(key).agg(quota_amount=_known_sum("quota_amount")), on=key, how="left")
        )
        return lines.join(self._actuals(states, members), on=key, how="left").sort(key)

    def _actuals(self, states: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
        """Period × scope: what deals say was won, by the week's hierarchy; before the first deal, what records say.

        A scope that won nothing in a closed period with deals has won 0; one with a deal in a currency without a rate
        has no actual.
        """
        key = ["period_start_on", "scope"]
        closed = self.looks.drop_nulls("closed_at").select("period_start_on").unique()
        with_deals = closed.join(self.seen, on="period_start_on")
        won = states.filter(pl.col("outcome") == "won").select(
            "period_start_on", "end_amount", person_id="end_owner_id"
        )
        if self.booked is not None and self.covered is not None:
            with_deals = closed.join(self.covered, on="period_start_on")
            won = self.booked
        placed = won.join(members.filter(pl.col("scope") != COMPANY_SCOPE), on=["period_start_on", "person_id"]).select(
            *key, "end_amount"
        )
        whole = won.select("period_start_on", "end_amount", scope=pl.lit(COMPANY_SCOPE)).select(*key, "end_amount")
        sums = (
            pl.concat([placed, whole])
            .group_by(key)
            .agg(
                amount=pl.col("end_amount").sum(),
                is_whole=pl.col("end_amount").is_not_null().all(),
            )
        )
        from_deals = (
            members.select(key)
            .unique()
            .join(with_deals, on="period_start_on")
            .join(sums, on=key, how="left")
            .select(
                *key,
                actual_amount=pl.when(pl.col("is_whole").is_null()).then(0.0).when("is_whole").then(_number("amount")),
            )
        )
        from_records = (
            self.recorded.join(with_deals, on="period_start_on", how="anti")
            .join(members, left_on=["period_start_on", "forecaster_id"], right_on=["period_start_on", "person_id"])
            .group_by(key)
            .agg(actual_amount=_known_sum("actual_amount"))
        )
        return pl.concat([from_deals, from_records])


def _number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64)


def _known_sum(column: str) -> pl.Expr:
    """Sum of what is known; null when nothing is."""
    return pl.when(pl.col(column).is_not_null().any()).then(pl.col(column).cast(pl.Float64).sum())


def landing_facts(
    prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy
) -> tuple[LandingFacts, tuple[str, str] | None]:
    """What landings are made from, at the horizon weeks and the open period's current one; whose calls they use.

    The calls are those the Trust page opens on: the layer nearest to the field, its commit where anybody commits.
    """
    looks = landing_looks(prepared, range(53))
    horizons = {week for _, week in policy.horizon_weeks}
    now = looks.filter(pl.col("period_start_on").eq_missing(prepared.open_period_start_on))["week_of_period"]
    weeks = sorted({*horizons, *now.to_list()[-1:]} & set(looks["week_of_period"].to_list()))
    pairs = tables["forecast_pairs"]
    said = pairs.drop_nulls("forecast_amount")
    kinds = set(said.select("layer", "category").unique().iter_rows())
    kind = next(((layer, named) for layer in LAYERS for named in CALL_CATEGORIES if (layer, named) in kinds), None)
    chosen = said.filter(pl.lit(kind is not None) & (pl.concat_list("layer", "category") == list(kind or ("", ""))))
    records = pairs.filter(pl.col("source") == "records", pl.col("actual_amount").is_not_null())
    if kind is not None:
        records = records.filter(pl.col("layer") == kind[0])
    reps = tables["scopes"].filter(pl.col("scope_kind") == "rep")["scope"]
    since = known_since(prepared)
    facts = LandingFacts(
        states_at=lambda week: deal_states(prepared, [week], policy, columns=STATES),
        seen=periods_seen(prepared, weeks, policy),
        looks=looks.filter(pl.col("week_of_period").is_in(weeks)),
        calls=chosen.select("period_start_on", "week_of_period", "forecaster_id", "forecast_amount"),
        recorded=records.unique(["period_start_on", "forecaster_id"]).select(
            "period_start_on", "forecaster_id", "actual_amount"
        ),
        # Quotas of people without reports, whose quotas do not contain each other.
        quotas=tables["quotas"].filter(pl.col("person_id").is_in(reps.implode())),
        members={week: members_by_week(prepared, week, policy) for week in weeks},
        recorded_from=max(since["stage"], since["close_on"]) if {"stage", "close_on"} <= set(since) else None,
        booked=booked_amounts(prepared.engine, prepared.actual_source),
        covered=covered_periods(prepared.engine, prepared.actual_source),
    )
    return facts, kind


@dataclass(frozen=True)
class Landings:
    """``tables``: the published ones (``landings``). ``lock_odds``: the chance that each deal open at the lock week of
    a past period would have been given then (``period_start_on, opportunity_id, win_probability_rate``, null where it
    could not be modelled): what their calibration is made from, not published deal by deal."""

    tables: dict[str, pl.DataFrame]
    lock_odds: pl.DataFrame


def landings(
    prepared: Prepared,
    tables: Mapping[str, pl.DataFrame],
    policy: Policy,
    *,
    choices: LandingPolicy | None = None,
    backtest_draws: int = BACKTEST_DRAWS,
) -> Landings:
    """``landing`` and its quantiles, dots, swings and scenario basis of the open period at its current week;
    ``landing_backtest`` and ``coverage`` of every period closed before, at the horizon weeks and this one; ``deals``
    with their odds.

    ``tables``: the prepared ones. Past landings weigh both methods alike, as the present one does: a coverage is that
    of the method as issued. Deterministic: the same facts give the same rows.
    """
    choices = LandingPolicy() if choices is None else choices
    facts, kind = landing_facts(prepared, tables, policy)
    season = periods_per_year(tables["periods"])
    now = prepared.open_period_start_on
    # A spreadsheet's last period is closed on its own last day: what has landed is not to be forecast.
    running = pl.col("period_start_on").eq_missing(now) & pl.col("closed_at").is_null()
    weeks = facts.looks.filter(running)["week_of_period"].to_list()
    schemas = {**LANDING_TABLES, **SCENARIO_TABLES}
    found: dict[str, pl.DataFrame] = {name: schema.create_empty() for name, schema in schemas.items()}
    deals = tables["deals"]
    past_choices = replace(choices, draws=backtest_draws)
    naive: dict[int, pl.DataFrame] = {}
    rows: list[pl.DataFrame] = []
    odds: list[pl.DataFrame] = []
    with ThreadPoolExecutor(max_workers=1) as beside:
        present: Future[LandingResult] | None = None
        # What the next week is made from is fetched while this one is drawn.
        for week, inputs in ahead((week, facts.at_week(week)) for week in sorted(facts.members)):
            if now is not None and week in weeks[-1:]:
                present = beside.submit(
                    landing,
                    inputs,
                    period_start_on=now,
                    week_of_period=week,
                    seed=seed_of(*SEED_WORDS, str(now), str(week)),
                    policy=choices,
                    bench_scopes=_bench_scopes(inputs.scope_members, tables["scopes"], now),
                )
            closed = inputs.periods.drop_nulls("closed_at")["period_start_on"].sort().to_list()
            # From the lock week on the hierarchy, hence what each scope won, is the same.
            told = min(week, policy.lock_week)
            if told not in naive:
                naive[told] = _naive(inputs, closed, season)
            for scored, issued in _scored(
                inputs, week, closed, naive[told], past_choices, with_odds=week == policy.lock_week
            ):
                rows.append(scored)
                odds.append(issued)
        if present is not None:
            found |= _issued(present.result(), tables["scopes"], kind)
            deals = _with_odds(tables["deals"], present.result())
    if rows:
        backtest = pl.concat(rows)
        found["landing_backtest"] = _published(backtest, LandingBacktest)
        found["coverage"] = _published(coverage(backtest), Coverage)
    empty = pl.DataFrame(schema={"period_start_on": pl.Date, **{name: ODDS[name] for name in LOCK_ODDS[1:]}})
    return Landings({**found, "deals": _published(deals, Deals)}, pl.concat([empty, *odds]))


def landing_choices(choices: LandingPolicy | None = None) -> list[dict[str, str]]:
    """One row per choice behind the landing, for the edition's ``policy`` table and its digest."""
    stated = asdict(LandingPolicy() if choices is None else choices)
    win = stated.pop("win")
    stated |= {f"win_{name}": value for name, value in win.items()}
    stated["backtest_draws"], stated["backtest_cells"] = BACKTEST_DRAWS, BACKTEST_CELLS
    return [{"name": f"landing_{name}", "value": repr(value)} for name, value in sorted(stated.items())]


def model_forecasts(backtest: pl.DataFrame) -> pl.DataFrame:
    """The engine's own forecast at past weeks, as ``measures.ladder`` takes it: the middle of its range."""
    level = backtest["level"].min()
    return backtest.filter(
        pl.col("method") == "combined", pl.col("level").eq_missing(pl.lit(level, pl.Float64))
    ).select("scope", "week_of_period", "period_start_on", forecast_amount="estimate")


def _naive(inputs: LandingInputs, closed: list[date], season: int) -> pl.DataFrame:
    """What each scope won in each closed period, and what the naive forecast would have scored."""
    actuals = inputs.calls.filter(pl.col("period_start_on").is_in(closed)).select(
        "scope", "period_start_on", "actual_amount"
    )
    return naive_crps(_without_gaps(actuals, closed), season=season)


def _scored(
    inputs: LandingInputs,
    week: int,
    closed: list[date],
    actuals: pl.DataFrame,
    choices: LandingPolicy,
    *,
    with_odds: bool,
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Past landings of one week against what landed, and the odds issued with them, one period at a time: quantiles of
    thousands are not kept."""

    open_counts = dict(inputs.deals.group_by("period_start_on").len().iter_rows())

    def of_period(start: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        affordable = BACKTEST_CELLS // max(open_counts.get(start, 0), 1)
        issued = landing_backtest(
            inputs,
            week_of_period=week,
            seed_words=SEED_WORDS,
            policy=replace(choices, draws=min(choices.draws, max(affordable, choices.draws // 4))),
            only=[start],
            with_odds=with_odds,
        )
        return backtest_rows(_in_cents(issued.landing), issued.quantiles, actuals), issued.odds.select(LOCK_ODDS)

    # Each draws from a seed of its own.
    for rows, odds in side_by_side(of_period, closed):
        if not rows.is_empty():
            yield rows, odds


def _without_gaps(actuals: pl.DataFrame, closed: list[date]) -> pl.DataFrame:
    """One row per scope and consecutive period, as "the same period last year" counts places."""
    every = pl.DataFrame({"period_start_on": closed}, schema={"period_start_on": pl.Date})
    grid = actuals.select("scope").unique().join(every, how="cross")
    return grid.join(actuals, on=["scope", "period_start_on"], how="left")


def _in_cents(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("estimate", "lower", "upper").round(2))


def _bench_scopes(members: pl.DataFrame, scopes: pl.DataFrame, now: date) -> list[str]:
    """The company and those who lead most people in the period: the scopes whose draws are published."""
    leading = scopes.filter(pl.col("scope_kind").is_in(IN_FULL))["scope"].implode()
    led = members.filter(pl.col("period_start_on") == now, pl.col("scope").is_in(leading))
    sizes = led.group_by("scope").len().sort("len", "scope", descending=[True, False])
    return sizes["scope"].head(BENCHES).to_list()


def _issued(result: LandingResult, scopes: pl.DataFrame, kind: tuple[str, str] | None) -> dict[str, pl.DataFrame]:
    layer, category = kind or (None, None)
    leading = scopes.filter(pl.col("scope_kind").is_in(IN_FULL))["scope"].implode()
    kept = result.quantiles.filter((pl.col("method") == "combined") | pl.col("scope").is_in(leading))
    named = result.landing.with_columns(layer=pl.lit(layer, pl.String), category=pl.lit(category, pl.String))
    return {
        "landing": _published(named, Landing),
        "landing_quantiles": _published(kept, LandingQuantiles),
        "landing_dots": _published(result.dots, LandingDots),
        "landing_swings": _published(result.swings, LandingSwings),
        **dict(zip(SCENARIO_TABLES, result.basis.frames(), strict=True)),
    }


def _with_odds(deals: pl.DataFrame, result: LandingResult) -> pl.DataFrame:
    odds = result.odds.select("opportunity_id", "win_probability_rate", "expected_amount", "win_status")
    why = "no_landing" if result.shock is None else "new_since"
    return (
        deals.drop(odds.columns[1:])
        .join(odds, on="opportunity_id", how="left")
        .with_columns(pl.col("win_status").fill_null(why))
    )


def _published(frame: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """In the contract's columns and dtypes; money in cents."""
    columns = {name: column.dtype for name, column in schema.columns().items()}
    money = [name for name, kind in columns.items() if kind == MONEY and frame.schema[name] == pl.Float64]
    return frame.with_columns(pl.col(money).round(2)).select(*columns).cast(columns)  # type: ignore[arg-type]
