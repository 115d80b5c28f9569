"""How every number is made, read from the code that makes it: docstrings, the policy's reasons, the contracts. Pure."""

from __future__ import annotations

import ast
import csv
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from threading import Lock

import dataframely as dy
import polars as pl

from dashboard import language, theme
from dashboard.language import say
from pipelines import policy
from pipelines.contracts import INPUT_TABLES, InputTable
from pipelines.engine import calibration, rationality, selfcheck, stability, value_added

SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Can this forecast be believed?",
        (
            ("The verdict", "pipelines.engine.verdict:verdict"),
            ("What calls like this one have landed at", "pipelines.engine.expectation:expectation"),
            ("The record at this week", "pipelines.engine.expectation:record"),
            ("Data freshness", "pipelines.engine.freshness:freshness"),
        ),
    ),
    (
        "Where will it land, and did such ranges hold?",
        (
            ("Where the period lands", "pipelines.engine.outlook:Outlook"),
            ("Deals, call, and both together", "pipelines.engine.landing"),
            ("How much the deals weigh against the call", "pipelines.engine.landing:precision_weight"),
            ("Odds in twenty", "pipelines.engine.outlook:misses"),
            ("The chance of reaching a line", "pipelines.engine.landing_tables:probability_of_reaching"),
            ("The chance of a deal", "pipelines.engine.competing_risks"),
            ("A past range", "pipelines.landing_contracts:LandingBacktest"),
            ("What if", "pipelines.engine.scenario:scenario"),
            ("Whether ranges held", "pipelines.engine.coverage:coverage_verdict"),
        ),
    ),
    (
        "Who leans, which way, how surely?",
        (
            ("A forecaster's lean", "pipelines.engine.bias:forecaster_bias"),
            ("When a lean is given a word", "pipelines.engine.bias:classify"),
            ("Own record and peers' together", "pipelines.engine.pooling"),
            ("The lean of a team", "pipelines.engine.team:team_bias"),
            ("Do forecasters differ at all?", "pipelines.engine.team:heterogeneity_p_value"),
            ("Would we be right about a company like this?", "pipelines.engine.selfcheck:selfcheck"),
        ),
    ),
    (
        "Where did the miss come from, and does it tie to the books?",
        (
            ("The bridge from call to landed", "pipelines.engine.attribution:miss_attribution"),
            ("What can be known of the lock", "pipelines.engine.miss:as_known"),
            ("Which deals a call stands for", "pipelines.engine.miss:called_deals"),
            ("Whose call is bridged", "pipelines.engine.miss:scope_calls"),
            ("Who is to blame?", "pipelines.engine.blame:blame"),
            ("What explains the miss", "pipelines.engine.explained:explained_misses"),
            ("Was it luck?", "pipelines.engine.luck:luck"),
            ("Whose error it is over time", "pipelines.engine.luck:error_shares"),
            ("Closed won and bookings", "pipelines.engine.reconciliation:reconciliation"),
            ("As reported, as corrected", "pipelines.measures.restated:restatements"),
            ("Which bookings belong to which deal", "pipelines.engine.matching"),
            ("Calls and bookings", "pipelines.engine.call_books:call_bookings"),
            ("The number finance carries", "pipelines.engine.projection:bridge"),
            ("By month, within a running period", "pipelines.engine.spans:split_months"),
            ("What changed since an edition", "pipelines.engine.edition_change:edition_change"),
        ),
    ),
    (
        "Is the pipeline sound, and do rates hold?",
        (
            ("Pipeline health", "pipelines.engine.health:pipeline_health"),
            ("How the pipeline moved", "pipelines.history_contracts:PipelineMovement"),
            ("The deals behind a movement", "pipelines.engine.movement_drill:deals_behind"),
            ("How deals end", "pipelines.engine.outcomes:win_loss"),
            ("Why deals end as they do", "pipelines.engine.outcomes:outcome_reasons"),
            ("When an open deal is old", "pipelines.engine.health:ageing_limits"),
            ("Why an interval is wider than its deals say", "pipelines.engine.shares:inflation"),
            ("Stable, drifting, jumpy", "pipelines.engine.stability"),
            ("Where a rate lands next", "pipelines.engine.dispersion:next_period_band"),
        ),
    ),
    (
        "Does judgement help, and are probabilities true?",
        (
            ("Value added, step by step", "pipelines.engine.value_added:value_added"),
            ("What each step said", "pipelines.measures.ladder"),
            ("The naive forecasts", "pipelines.engine.value_added:naive_forecasts"),
            ("By chance alone", "pipelines.engine.value_added:sign_flip_p_value"),
            ("What overrides bring", "pipelines.engine.overrides:override_summary"),
            ("Whether probabilities are true", "pipelines.engine.calibration:probability_calibration"),
            ("Fields that know the outcome", "pipelines.engine.leaks"),
            ("Do calls use what was known?", "pipelines.engine.rationality:pooled_mincer_zarnowitz"),
        ),
    ),
    (
        "What is compared with what?",
        (
            ("A call and what landed", "pipelines.contracts:ForecastPairs"),
            ("How far calls were off", "pipelines.engine.accuracy:accuracy"),
        ),
    ),
)

_parsing = Lock()
"""Python's ``ast`` counts its depth once for all threads (3.11): of two readers' runs at once, one would fail."""

STUDY = Path(__file__).with_name("assets") / "operating_characteristics.csv"

_OPENING_TITLE = re.compile(r"^\*\*[^*]+\*\*\s*")
_DOUBLE_TICKS = re.compile(r"``([^`]+)``")
_KINDS: tuple[tuple[type, str], ...] = (
    (dy.Bool, "yes or no"),
    (dy.Date, "day"),
    (dy.Datetime, "instant, UTC"),
    (dy.Decimal, "amount"),
    (dy.Float64, "number"),
    (dy.Int64, "whole number"),
    (dy.String, "text"),
)


@dataclass(frozen=True)
class Definition:
    """One number: what it is called on the pages, how it is made (Markdown), and where in the code."""

    heading: str
    text: str
    source: str


@dataclass(frozen=True)
class Choice:
    """One number we chose: its value in this edition, and why."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True)
class ColumnRule:
    """One column of a table people bring."""

    name: str
    is_required: bool
    kind: str


@cache
def definitions() -> list[tuple[str, list[Definition]]]:
    """(question, definitions) in the order of the pages."""
    return [
        (say(question), [Definition(say(heading), markdown(_docstring(source)), source) for heading, source in entries])
        for question, entries in SECTIONS
    ]


def markdown(docstring: str) -> str:
    """A docstring as Markdown: its own opening title dropped, code marked, dollars and tildes as they stand."""
    text = _OPENING_TITLE.sub("", inspect.cleandoc(docstring))
    lines = [
        line if line.startswith("    ") else _escaped(_DOUBLE_TICKS.sub(r"`\1`", line)) for line in text.split("\n")
    ]
    return "\n".join(lines)


def choices(stated: Mapping[str, str]) -> list[Choice]:
    """Every choice behind the numbers, in the policy's own order; ``stated``: the edition's values by name."""
    return [Choice(name, _value(stated[name]), reason) for name, reason in _reasons().items() if name in stated]


def columns(table: InputTable) -> list[ColumnRule]:
    """The columns of one table people bring, in the contract's order."""
    return [ColumnRule(name, name in table.required, _kind(column)) for name, column in table.schema.columns().items()]


def grain(table: InputTable) -> str:
    """One row per what."""
    return _escaped(
        _DOUBLE_TICKS.sub(r"`\1`", inspect.cleandoc(table.schema.__doc__ or "").split("\n\n", maxsplit=1)[0])
    )


def input_tables() -> list[InputTable]:
    return list(INPUT_TABLES.values())


@cache
def _value(stated: str) -> str:
    """A value of the policy as an edition keeps it (Python's own notation), in words."""
    with _parsing:
        value = ast.literal_eval(stated)
    if value is None:
        return "off"
    if isinstance(value, tuple):
        return ", ".join(" ".join(str(part) for part in entry) for entry in value)
    return str(value)


def _docstring(source: str) -> str:
    module, _, name = source.partition(":")
    found = import_module(module)
    documented = getattr(found, name) if name else found
    return inspect.getdoc(documented) or ""


@cache
def _reasons() -> dict[str, str]:
    """The sentence below each field of Policy; inspect does not keep it, so it is read from the source."""
    with _parsing:
        parsed = ast.parse(inspect.getsource(policy))
    (body,) = (node.body for node in parsed.body if isinstance(node, ast.ClassDef) and node.name == "Policy")
    reasons: dict[str, str] = {}
    for field, below in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            reasons[field.target.id] = inspect.cleandoc(below.value.value).replace("\n", " ")
    return reasons


def _kind(column: dy.Column) -> str:
    allowed = getattr(column, "regex", None)
    if allowed:
        return ", ".join(allowed.strip("^$()").split("|"))
    if isinstance(column, dy.Float64) and column.min == 0 and column.max == 1:
        return "rate, 0 to 1"
    return next(kind for family, kind in _KINDS if isinstance(column, family))


def _escaped(text: str) -> str:
    return text.replace("$", r"\$").replace("~", r"\~")


@dataclass(frozen=True)
class Study:
    """What simulation says of the labels: a table, and where it comes from."""

    introduction: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str


def operating_characteristics() -> Study:
    """How often labels are given, right and wrong, as `python -m tests.benchmarks.labels` last measured it.

    One row per number of closed quarters; the spreadsheet's habit beside our rule.
    """
    measured = list(csv.DictReader(STUDY.read_text(encoding="utf-8").splitlines()))
    ours = {row["quarters"]: row for row in measured if row["rule"] == "forecast_trust"}
    theirs = {row["quarters"]: row for row in measured if row["rule"] == "spreadsheet"}
    rows = tuple(
        (
            theme.plural(int(quarters), "quarter"),
            theme.decimal(float(row["flags"]), 1),
            _rate(row["wrong_sign_rate"]),
            _rate(row["power_rate"]),
            _rate(row["coverage_rate"]),
            _rate(theirs[quarters]["wrong_sign_rate"]),
        )
        for quarters, row in ours.items()
    )
    runs = int(measured[0]["runs"])
    return Study(
        introduction=(
            "A word for a forecaster's lean can be wrong. In simulated teams of 24 forecasters, whose true lean is "
            "known, this is how often words are given, how many point the wrong way, how many of the leans beyond "
            "15 % are found, and how often the 80 % range holds the truth. The last column is what a spreadsheet does: "
            "it flags everyone more than 10 % off."
        ),
        headings=("History", "Words per team", "Wrong way", "Leans found", "Range holds", "Spreadsheet: wrong way"),
        rows=rows,
        source=(
            f"{theme.count(runs)} simulated teams per row, measured by the engine of these pages "
            "(tests/benchmarks/labels.py says how they are made)."
        ),
    )


def self_check(table: pl.DataFrame) -> Study:
    """The study above for this very company: ``table``, the edition's own ``selfcheck``. No rows where it did not run,
    and the introduction says why."""
    headings = ("Question", "Answer", "Counted")
    source = "The command forecast-trust selfcheck draws as many companies as you like (pipelines/engine/selfcheck.py)."
    status = "no_call" if table.is_empty() else table["status"][0]
    if status != "ok":
        return Study(WHY_NO_CHECK[status], headings, (), source)
    rows = tuple((question, sentence, counted) for question, counted, sentence in selfcheck.in_words(table))
    return Study(
        introduction=(
            f"{selfcheck.shape_in_words(table)} Each has the calls of this company, leans that are known, and as much "
            "chance as its quarters show; the engine of these pages then measures it without knowing them."
        ),
        headings=headings,
        rows=rows,
        source=source,
    )


WHY_NO_CHECK = {
    "no_call": "Nothing to check yet: no call of a closed period is known at the lock week.",
    "not_enough_history": (
        f"Nothing to check yet: {selfcheck.FEWEST_PERIODS} closed periods with calls are needed to know the company's "
        "shape."
    ),
    "one_forecaster": (
        f"Nothing to check yet: {selfcheck.FEWEST_FORECASTERS} forecasters with calls and landings in two closed "
        "periods are needed to know the company's shape."
    ),
    "too_many_forecasters": "With so many forecasters, the check is left to the command: it takes a while.",
}


def _rate(text: str) -> str:
    return theme.percent(float(text)) if text else theme.MISSING


def evidence_needed(stated: Mapping[str, str]) -> list[tuple[str, str]]:
    """(output, what it needs), from the edition's policy: below it a page says so instead of guessing."""

    def periods(name: str) -> str:
        return theme.plural(int(stated[name]), "closed period")

    return [
        ("A forecaster's value, greyed", f"{periods('min_periods_value')} with a call"),
        (
            "A word for a forecaster's lean",
            f"{periods('min_periods_label')} and {theme.plural(int(stated['min_deals_label']), 'won deal')}",
        ),
        ("The interval of a team's or the company's lean", periods("min_periods_company")),
        ("Skill against the naive forecast", periods("min_periods_accuracy")),
        ("A word for a step of judgement", f"{theme.plural(value_added.MIN_PERIODS_VERDICT, 'closed period')} of both"),
        (
            "A word for win probabilities",
            f"{calibration.MIN_DEALS_VERDICT} deals over "
            f"{theme.plural(calibration.MIN_PERIODS_VERDICT, 'closed period')}",
        ),
        (
            "Whether a rate is stable",
            f"{theme.plural(stability.MIN_PERIODS, 'closed period')} of {stability.MIN_TRIALS} deals",
        ),
        ("Whether a lean has changed", theme.plural(rationality.MIN_PERIODS_CHANGE, "closed period")),
    ]


language.take(__name__, globals())
