"""The first look at a whole file: how each column writes its dates and numbers, and what lookups need.

A column that can be read in two ways is settled by its own unambiguous values; if it has none, or has them of both
kinds, the file is refused and the mapping has to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import dataframely as dy
import polars as pl

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import FileError
from pipelines.ingest.columns import Notation, is_plain_date, is_plain_number, without_missing
from pipelines.ingest.delimited import LINE
from pipelines.ingest.formats import Export, key_of
from pipelines.ingest.mapping import HISTORY_FIELDS, ColumnRule
from pipelines.ingest.recognition import Plan
from pipelines.ingest.rows import Lookups, row_filter, take_rows
from pipelines.ingest.sources import allowed_words, as_one_form, source_text, translate
from pipelines.ingest.values import (
    COMMA,
    DAY_FIRST,
    MONTH_FIRST,
    ORDERS,
    POINT,
    DateNotation,
    Evidence,
    date_evidence,
    dissect,
    number_evidence,
)
from pipelines.side_by_side import ahead

__all__ = ["Survey", "allowed_words", "survey"]

OPPORTUNITY_COLUMNS = INPUT_TABLES["opportunities"].schema.columns()


@dataclass
class Survey:
    """``notations`` per canonical column (for history: per column that a field names), and the file's lookups."""

    plan: Plan
    notations: dict[str, Notation] = field(default_factory=dict)
    lookups: Lookups = field(default_factory=Lookups)

    def field_names(self, text: pl.Series) -> pl.Series:
        """The CRM's field names as canonical column names; null for fields that are not tracked."""
        known = {key_of(name): name for name in HISTORY_FIELDS}
        for column, rule in self.plan.layout.fields.items():
            known |= dict.fromkeys(rule.headers, column)
        names = text.drop_nulls().unique()
        return (
            text.replace_strict(
                names,
                pl.Series([known.get(key_of(name)) for name in names.to_list()], dtype=pl.String),
                default=None,
                return_dtype=pl.String,
            )
            if names.len()
            else text
        )

    def field_text(self, column: str, text: pl.Series) -> pl.Series:
        """History values after the value maps of the column they are of."""
        rule = self.plan.layout.fields.get(column, ColumnRule())
        words = {**self.plan.mapping.values.get(column, {}), **rule.values}
        if rule.identifier == "salesforce":
            text = as_one_form(text)
        return translate(text, words, rule.otherwise, allowed_words(OPPORTUNITY_COLUMNS[column]))[0]


@dataclass
class _Column:
    """A column under survey."""

    rule: ColumnRule
    of: dy.Column
    evidence: Evidence = field(default_factory=Evidence)
    is_auto: bool = False
    has_over_one: bool = False
    has_fraction: bool = False
    is_machine: bool = False

    @property
    def is_date(self) -> bool:
        return isinstance(self.of, dy.Date | dy.Datetime)

    @property
    def is_number(self) -> bool:
        return isinstance(self.of, dy.Decimal | dy.Float64 | dy.Int64)

    def look(self, text: pl.Series, lines: pl.Series) -> None:
        rest = text.set((is_plain_date(text) if self.is_date else is_plain_number(text)).fill_null(value=False), None)
        if self.is_number:
            self._look_at_plain(text, rest, lines)
        rows = (
            pl.DataFrame({"text": rest, "line": lines})
            .drop_nulls("text")
            .unique("text", keep="first", maintain_order=True)
        )
        judge = date_evidence if self.is_date else number_evidence
        for value, line in rows.iter_rows():
            self.evidence.add(judge(value), line, value)
            if self.is_auto:
                written = dissect(value)
                number = written.value(None) if written and not written.is_percent else None
                self.has_over_one |= number is not None and number > 1
                self.has_fraction |= number is not None and 0 < number < 1

    def _look_at_plain(self, text: pl.Series, rest: pl.Series, lines: pl.Series) -> None:
        plain = text.set(rest.is_not_null(), None)
        pointed = plain.str.contains(".", literal=True).fill_null(value=False).arg_true()
        if len(pointed):
            self.evidence.add(POINT, int(lines[int(pointed[0])]), str(plain[int(pointed[0])]))
        if self.is_auto:
            numbers = plain.cast(pl.Float64, strict=False)
            self.has_over_one |= bool((numbers > 1).any())
            self.has_fraction |= bool(((numbers > 0) & (numbers < 1)).any())


def survey(export: Export, plan: Plan) -> Survey:
    """Read the file once and decide every column's notation.

    Errors: FileError for a column that stays ambiguous.
    """
    result = Survey(plan)
    columns = _columns_to_survey(export, plan)
    pairs = [rule.lookup for rule in plan.layout.columns.values() if rule.lookup]
    words = {test.found_in for test in (*plan.layout.keep, *plan.layout.skip) if test.found_in}
    for batch in ahead(export.batches()) if columns or pairs or words else ():
        frame = take_rows(batch.frame, plan, export)
        for lookup in pairs:
            if lookup.match in frame.columns and lookup.give in frame.columns:
                known = result.lookups.pairs.setdefault((lookup.match, lookup.give), {})
                known.update(
                    frame.select(lookup.match, lookup.give).drop_nulls().unique(maintain_order=True).iter_rows()
                )
        for key in words & set(frame.columns):
            result.lookups.words.setdefault(key, set()).update(frame[key].drop_nulls().unique().to_list())
        keep = row_filter(frame, plan, Lookups()) if not words else None
        if keep is not None:
            frame = frame.filter(keep)
        _look_at_batch(frame, plan, result, columns)
    for name, column in columns.items():
        result.notations[name] = _decide(export, plan, name, column)
    return result


def _columns_to_survey(export: Export, plan: Plan) -> dict[str, _Column]:
    columns: dict[str, _Column] = {}
    if plan.table.name == "opportunity_history":
        for name in HISTORY_FIELDS:
            rule = plan.layout.fields.get(name, ColumnRule())
            columns[name] = _Column(rule, OPPORTUNITY_COLUMNS[name], is_auto=rule.scale == "auto")
    schema = plan.table.schema.columns()
    for name, rule in plan.layout.columns.items():
        keys = plan.sources.get(name, ())
        if keys:
            is_machine = export.machine_numbers.issuperset(keys)
            # A column under its canonical name is in canonical units; other names leave percent or rate open.
            is_auto = rule.scale == "auto" and keys[0] != key_of(name)
            columns[name] = _Column(rule, schema[name], is_machine=is_machine, is_auto=is_auto)
    return {name: column for name, column in columns.items() if column.is_date or column.is_number}


def _look_at_batch(frame: pl.DataFrame, plan: Plan, result: Survey, columns: dict[str, _Column]) -> None:
    mapping = plan.mapping
    for name, column in columns.items():
        if name in plan.layout.columns and plan.sources.get(name):
            text = source_text(frame, plan, name, result.lookups).text
            column.look(without_missing(text, mapping), frame[LINE])
    if plan.table.name == "opportunity_history":
        fields = result.field_names(source_text(frame, plan, "field", result.lookups).text)
        for side in ("old_value", "new_value"):
            if not plan.sources.get(side):
                continue
            text = source_text(frame, plan, side, result.lookups).text
            for name in fields.drop_nulls().unique().to_list():
                if name in columns:
                    rows = (fields == name).fill_null(value=False).arg_true()
                    part = result.field_text(name, text.gather(rows))
                    columns[name].look(without_missing(part, mapping), frame[LINE].gather(rows))


def _decide(export: Export, plan: Plan, name: str, column: _Column) -> Notation:
    mapping, rule, evidence = plan.mapping, column.rule, column.evidence
    if column.is_date:
        stated = rule.date_format or mapping.date_format
        order = stated if stated in ORDERS else evidence.decide(DAY_FIRST, MONTH_FIRST)
        if order is None and evidence.ambiguous and stated is None:
            raise _ambiguous_date(export, plan, name, evidence)
        pattern = stated if stated is not None and stated not in ORDERS else None
        return Notation(DateNotation(order, pattern, mapping.timezone, name == "period_start_on"))
    if column.has_over_one and column.has_fraction:
        raise FileError(
            f"{export.file_name} has both fractions and values above 1 in {_header(export, plan, name)}, which can be "
            "percentages or rates.",
            f'State scale = "percent" or "rate" for {name} in a mapping file, or call a column of rates {name}.',
        )
    is_percent = rule.scale == "percent" or column.has_over_one
    decimal = POINT if column.is_machine else rule.decimal or mapping.decimal or evidence.decide(POINT, COMMA)
    if decimal is None and evidence.ambiguous:
        raise _ambiguous_number(export, plan, name, evidence)
    return Notation(decimal=decimal, is_percent=is_percent)


def _header(export: Export, plan: Plan, name: str) -> str:
    keys = plan.sources.get(name, ())
    headers = dict(zip(export.keys, export.header, strict=True))
    return " or ".join(headers.get(key, key) for key in keys) or f"history of {name}"


def _why(evidence: Evidence, first: str, second: str) -> str:
    if first in evidence.seen and second in evidence.seen:
        one, other = evidence.seen[first], evidence.seen[second]
        return f"the column has both ways ({one[1]!r} on line {one[0]}, {other[1]!r} on line {other[0]})"
    return "no other value of the column settles it"


def _ambiguous_date(export: Export, plan: Plan, name: str, evidence: Evidence) -> FileError:
    line, value = evidence.seen["ambiguous"]
    return FileError(
        f"{export.file_name} has the date {value!r} in {_header(export, plan, name)} on line {line}, which can be "
        f"day/month or month/day; {_why(evidence, DAY_FIRST, MONTH_FIRST)}.",
        f"State date_format in a mapping file: extends = {plan.mapping.name!r} and date_format = {DAY_FIRST!r} "
        f"(or {MONTH_FIRST!r}), passed with --mapping FILE.toml.",
    )


def _ambiguous_number(export: Export, plan: Plan, name: str, evidence: Evidence) -> FileError:
    line, value = evidence.seen["ambiguous"]
    return FileError(
        f"{export.file_name} has {value!r} in {_header(export, plan, name)} on line {line}, whose mark can part "
        f"thousands or decimals; {_why(evidence, POINT, COMMA)}.",
        f"State decimal in a mapping file: extends = {plan.mapping.name!r} and decimal = '.' (or ','), "
        "passed with --mapping FILE.toml.",
    )
