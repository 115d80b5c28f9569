"""Which rows of a file count, and in what shape: unpivoting, conditions, lookups within the file."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from pipelines.ingest.delimited import LINE
from pipelines.ingest.formats import Export
from pipelines.ingest.mapping import Condition
from pipelines.ingest.recognition import Plan, unpivoted_keys

ROW = "__row__"
"""Unique in the file: the line, or where one line gives several rows, line × 10,000 + column."""

OTHER = "other_columns"
"""What a row says in columns that the plan does not read, as one JSON text: kept, and otherwise ignored."""

ROWS_PER_LINE = 10_000


@dataclass
class Lookups:
    """What the survey learnt of the file as a whole: (match, give) → pairs, and the words found under a header."""

    pairs: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    words: dict[str, set[str]] = field(default_factory=dict)


def wanted_keys(plan: Plan, export: Export) -> list[str]:
    """Keys of the file that the plan reads."""
    layout = plan.layout
    keys = set(plan.used_keys)
    keys |= {condition.key for condition in (*layout.keep, *layout.skip)}
    keys |= {condition.found_in for condition in (*layout.keep, *layout.skip) if condition.found_in}
    for rule in layout.columns.values():
        if rule.lookup:
            keys |= {rule.lookup.match, rule.lookup.give}
    keys |= set(unpivoted_keys(layout, export))
    return [key for key in export.keys if key in keys]


def take_rows(frame: pl.DataFrame, plan: Plan, export: Export, *, with_others: bool = False) -> pl.DataFrame:
    """The plan's columns, trimmed, empty cells null, unpivoted if the layout says so; with line and row number.

    ``with_others``: and what stands in the columns that the plan does not read, as ``OTHER``.
    """
    keys = wanted_keys(plan, export)
    trimmed = pl.col(keys).str.strip_chars()
    others = [other_columns(frame, plan, export)] if with_others else []
    frame = frame.select(
        *([pl.when(trimmed != "").then(trimmed)] if keys else []), LINE, pl.col(LINE).alias(ROW), *others
    )
    unpivot = plan.layout.unpivot
    if unpivot is None:
        return frame
    molten = unpivoted_keys(plan.layout, export)
    columns = list(molten)
    long = frame.unpivot(
        columns,
        index=[key for key in frame.columns if key not in molten],
        variable_name=unpivot.name,
        value_name=unpivot.value,
    )
    position = pl.col(unpivot.name).replace_strict(columns, list(range(len(columns))), return_dtype=pl.Int64)
    return long.with_columns(
        (pl.col(LINE) * ROWS_PER_LINE + position).alias(ROW),
        pl.col(unpivot.name).replace_strict(molten, return_dtype=pl.String),
    ).sort(ROW)


def other_columns(frame: pl.DataFrame, plan: Plan, export: Export) -> pl.Series:
    """``OTHER`` of each row, under the header as written; empty cells are left out, null where nothing is left."""
    wanted = set(wanted_keys(plan, export))
    spare = [(key, head) for key, head in zip(export.keys, export.header, strict=True) if key not in wanted]
    if not spare or plan.layout.unpivot is not None:
        return pl.repeat(None, frame.height, eager=True, dtype=pl.String).alias(OTHER)
    names = [
        head if head and head not in [other for _, other in spare[:at]] else key for at, (key, head) in enumerate(spare)
    ]
    cells = [
        pl.col(key).str.strip_chars().replace("", None).alias(name) for (key, _), name in zip(spare, names, strict=True)
    ]
    said = pl.any_horizontal(pl.col(key).str.strip_chars() != "" for key, _ in spare)
    return frame.select(pl.when(said).then(pl.struct(cells).struct.json_encode()).alias(OTHER))[OTHER]


def row_filter(frame: pl.DataFrame, plan: Plan, lookups: Lookups) -> pl.Series | None:
    """True where a row is kept; None if the layout has no condition that this file can be asked about."""
    layout = plan.layout
    wanted = [_test(condition, lookups) for condition in layout.keep if condition.key in frame.columns]
    unwanted = [_test(condition, lookups) for condition in layout.skip if condition.key in frame.columns]
    if not wanted and not unwanted:
        return None
    keep = pl.all_horizontal(*wanted, *(~test for test in unwanted))
    return frame.select(keep.alias("keep"))["keep"]


def _test(condition: Condition, lookups: Lookups) -> pl.Expr:
    cell = pl.col(condition.key)
    if condition.one_of is not None:
        return cell.str.to_lowercase().is_in(condition.one_of).fill_null(value=False)
    if condition.matches is not None:
        return cell.str.contains(condition.matches).fill_null(value=False)
    if condition.found_in is not None:
        return cell.is_in(list(lookups.words.get(condition.found_in, set()))).fill_null(value=False)
    return cell.is_not_null() if condition.present else cell.is_null()
