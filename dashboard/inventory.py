"""What an edition stands on: what was landed, what was set aside and the money in it, what is missing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import polars as pl

from dashboard import language, theme
from pipelines.contracts import INPUT_TABLES

TABLE_NAMES = {
    "opportunities": "Opportunities",
    "opportunity_history": "Opportunity history",
    "opportunity_states": "Opportunity states",
    "forecast_submissions": "Forecast submissions",
    "forecast_records": "Forecast records",
    "people": "People",
    "quotas": "Quotas",
    "bookings": "Bookings",
    "fx_rates": "Exchange rates",
    "stages": "Stages",
    "activities": "Activities",
    "leads": "Leads",
    "periods": "Fiscal periods",
}

BRINGS = {
    "opportunities": "what landed, deal by deal: actuals of every call, and the open pipeline",
    "opportunity_history": "how each deal looked at any past date: slips, shrinkage, and owners as they were",
    "opportunity_states": "how each deal looked at any past date, from stage changes alone",
    "forecast_submissions": "who called what, when: without calls nothing can be said about a forecaster",
    "forecast_records": "the lean of each forecaster from a spreadsheet of calls and actuals, without a CRM",
    "people": "names instead of ids, and who reported to whom: managers' and executives' calls against their teams",
    "quotas": "calls and landings beside the plan",
    "bookings": "whether what the CRM calls won is what finance booked",
    "fx_rates": "amounts in other currencies: without rates they stay out of every sum",
    "stages": "which stages are closed or won, where their names do not say so",
    "activities": "which open deals nobody has touched",
    "leads": "where deals come from, and which sources turn into revenue",
    "periods": "a fiscal calendar that is not plain months or quarters",
}

STANDS_IN = {
    "opportunity_history": "opportunity_states",
    "opportunity_states": "opportunity_history",
    "forecast_submissions": "forecast_records",
    "forecast_records": "forecast_submissions",
}
"""Two tables that answer one question: neither is missed where the other has landed."""

RULES = {
    "missing": "a required value is empty",
    "not_money": "not an amount of money",
    "not_a_number": "not a number",
    "not_a_whole_number": "not a whole number",
    "not_a_date": "not a date",
    "not_a_currency": "not a currency code of three letters",
    "not_true_or_false": "neither yes nor no",
    "not_one_of": "not one of the values allowed",
    "not_json": "not a line of JSON",
    "date_out_of_range": "a date outside the years 1990 to 2100",
    "out_of_range": "a number outside the range allowed",
    "negative_amount": "an amount below zero",
    "amount_out_of_range": "an amount too large to be true",
    "wrong_number_of_fields": "more or fewer fields than the header",
    "duplicate_id": "the same id on rows that differ",
    "period_ends_after_it_starts": "a period that ends before it starts",
}


@dataclass(frozen=True)
class TableState:
    """One input table: its rows in force, what was set aside, and the span its facts cover."""

    name: str
    row_count: int
    rejected_count: int
    rejected_amount: Decimal | None
    first_known_at: datetime | None
    last_known_at: datetime | None


@dataclass(frozen=True)
class Faults:
    """Rows set aside for one rule in one column of one table; ``amount`` null where they state none."""

    table: str
    rule: str
    column: str | None
    count: int
    amount: Decimal | None
    example: str


def landed(table_status: pl.DataFrame) -> list[TableState]:
    """Tables with at least one row, accepted or not, in the order of the data contract."""
    return [state for state in _states(table_status) if state.row_count or state.rejected_count]


def missing(table_status: pl.DataFrame) -> list[tuple[str, str]]:
    """(table, what it would bring) for tables without a row, unless another answers the same question."""
    present = {state.name for state in _states(table_status) if state.row_count}
    return [
        (TABLE_NAMES[name], BRINGS[name])
        for name in INPUT_TABLES
        if name not in present and STANDS_IN.get(name) not in present
    ]


def faults(rejected: pl.DataFrame) -> list[Faults]:
    """Set-aside rows by table, rule and column, most money first, then most rows.

    A line that broke several rules counts under each of them.
    """
    if rejected.is_empty():
        return []
    grouped = (
        rejected.group_by("table_name", "rule", "column_name")
        .agg(
            pl.len().alias("count"),
            pl.when(pl.col("amount").count() > 0).then(pl.col("amount").abs().sum()).alias("amount"),
            pl.col("file_name").first(),
            pl.col("line").first(),
            pl.col("value").first(),
        )
        .sort(
            [pl.col("amount").fill_null(-1), "count", "table_name", "rule", "column_name"],
            descending=[True, True, False, False, False],
            nulls_last=True,
        )
    )
    return [
        Faults(
            row["table_name"],
            row["rule"],
            row["column_name"],
            row["count"],
            row["amount"],
            f"{row['file_name']}, line {row['line']}" + (f": {_short(row['value'])}" if row["value"] else ""),
        )
        for row in grouped.to_dicts()
    ]


def set_aside(rejected: pl.DataFrame) -> tuple[int, Decimal | None]:
    """(lines, money) set aside, each line once whatever number of rules it broke; no money where none is stated."""
    lines = rejected.group_by("file_name", "table_name", "line").agg(pl.col("amount").abs().max())
    amounts = lines["amount"].drop_nulls()
    return lines.height, sum(amounts.to_list(), Decimal(0)) if len(amounts) else None


def title(states: list[TableState], rejected: pl.DataFrame, currency: str) -> str:
    """The finding, at most 70 characters."""
    rows = sum(state.row_count for state in states)
    count, amount = set_aside(rejected)
    if count == 0:
        return f"{theme.count(rows)} rows landed, none set aside"
    worth = f", worth about {theme.money(amount, currency)}" if amount else ""
    return f"{theme.count(rows)} rows landed; {theme.count(count)} set aside{worth}"


LISTED_BELOW = " Nothing was dropped: each is listed below."
"""Said where a list follows; a paper that has none leaves it out."""


def summary(states: list[TableState], rejected: pl.DataFrame, currency: str, files: int) -> str:
    """One paragraph: files, tables, the newest fact, and what happened to bad rows."""
    newest = max((state.last_known_at for state in states if state.last_known_at), default=None)
    text = f"{_capital(theme.plural(files, 'file'))} filled {theme.plural(len(states), 'table')}."
    if newest is not None:
        text += f" The newest recorded fact is of {theme.instant(newest)}."
    count, amount = set_aside(rejected)
    if count:
        rows = "One row was" if count == 1 else f"{theme.count(count)} rows were"
        stand = "it stands" if count == 1 else "they stand"
        worth = f"; {stand} for about {theme.money(amount, currency)}, before conversion" if amount else ""
        text += f" {rows} set aside because a rule was broken{worth}.{LISTED_BELOW}"
    return text


def landed_rows(states: list[TableState], currency: str) -> list[tuple[str, ...]]:
    """Cells: table, rows, set aside, money set aside, first and last day of its facts."""
    return [
        (
            TABLE_NAMES[state.name],
            theme.count(state.row_count),
            theme.count(state.rejected_count),
            theme.money_full(state.rejected_amount, currency),
            _span(state.first_known_at, state.last_known_at),
        )
        for state in states
    ]


def fault_rows(found: list[Faults], currency: str) -> list[tuple[str, ...]]:
    """Cells: why, where, rows, money, example."""
    return [
        (
            _capital(rule_in_words(fault.rule)),
            TABLE_NAMES.get(fault.table, fault.table) + (f", {fault.column}" if fault.column else ""),
            theme.count(fault.count),
            theme.money_full(fault.amount, currency),
            fault.example,
        )
        for fault in found
    ]


def file_rows(inputs: pl.DataFrame) -> list[tuple[str | None, ...]]:
    """Cells: file, table, rows, set aside, mapping, landed at, digest."""
    return [
        (
            row["file_name"],
            TABLE_NAMES.get(row["table_name"], row["table_name"]) if row["table_name"] else "refused whole",
            theme.count(row["row_count"]),
            theme.count(row["rejected_count"]),
            row["mapping_name"],
            theme.instant(row["landed_at"]),
            row["sha256"][:12],
        )
        for row in inputs.to_dicts()
    ]


def files_label(inputs: pl.DataFrame) -> str:
    return f"{_capital(theme.plural(inputs.height, 'file'))}, with digests"


def rows_label(count: int, shown: int) -> str:
    if count > shown:
        return f"The first {theme.count(shown)} of {theme.count(count)} rows"
    return "The one row" if count == 1 else f"All {theme.count(count)} rows"


def as_csv(rows: pl.DataFrame) -> bytes:
    """The rows as CSV; a cell that a spreadsheet would run as a formula is kept as text."""
    text = pl.col(pl.String)
    starts_formula = text.str.contains(r"^[=+\-@\t\r]")
    harmless = pl.when(starts_formula).then(pl.lit("'") + text).otherwise(text).name.keep()
    return rows.with_columns(harmless).write_csv().encode()


def rule_in_words(rule: str) -> str:
    return RULES.get(rule, rule.replace("_", " "))


def _states(table_status: pl.DataFrame) -> list[TableState]:
    rows = {row["table_name"]: row for row in table_status.to_dicts()}
    return [
        TableState(
            name,
            rows[name]["row_count"],
            rows[name]["rejected_count"],
            rows[name]["rejected_amount"],
            rows[name]["first_known_at"],
            rows[name]["last_known_at"],
        )
        for name in INPUT_TABLES
        if name in rows
    ]


def _span(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return theme.MISSING
    return f"{theme.day(first.date())} to {theme.day(last.date())}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(value: str, length: int = 40) -> str:
    return value if len(value) <= length else value[: length - 1] + "…"


language.take(__name__, globals())
