"""The text that stands for one canonical column: headers, templates, constants, value maps, lookups, identifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import dataframely as dy
import polars as pl

from pipelines.ingest.mapping import ColumnRule
from pipelines.ingest.recognition import Plan
from pipelines.ingest.rows import Lookups

_CHECK_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


@dataclass(frozen=True)
class SourceText:
    """``raw`` as the file has it, ``text`` after the mapping; ``skip`` marks rows that the mapping leaves out."""

    raw: pl.Series
    text: pl.Series
    skip: pl.Series | None = None
    emptied_count: int = 0

    def filter(self, kept: pl.Series) -> SourceText:
        return SourceText(self.raw.filter(kept), self.text.filter(kept), None, self.emptied_count)


def allowed_words(column: dy.Column) -> tuple[str, ...]:
    """The words a category column of the contract may hold; none for free text."""
    pattern = column.regex if isinstance(column, dy.String) else None
    return tuple(pattern.removeprefix("^(").removesuffix(")$").split("|")) if pattern else ()


def source_text(frame: pl.DataFrame, plan: Plan, column: str, lookups: Lookups) -> SourceText:
    """The canonical column's text for every row of ``frame``."""
    rule = plan.layout.columns[column]
    raw = _raw(frame, plan, column, rule)
    text = raw
    if rule.extract:
        text = text.str.extract(rule.extract, 1 if re.compile(rule.extract).groups else 0)
    skip = ~text.str.contains(rule.matches).fill_null(value=False) if rule.matches else None
    if rule.lookup:
        found = lookups.pairs.get((rule.lookup.match, rule.lookup.give), {})
        text = (
            text.replace_strict(
                list(found),
                list(found.values()),
                default=text if rule.lookup.keeps_unknown else None,
                return_dtype=pl.String,
            )
            if found
            else (text if rule.lookup.keeps_unknown else text.set(text.is_not_null(), None))
        )
    if rule.identifier == "salesforce":
        text = as_one_form(text)
    words = {**plan.mapping.values.get(column, {}), **rule.values}
    text, unknown = translate(text, words, rule.otherwise, allowed_words(plan.table.schema.columns()[column]))
    if rule.otherwise == "skip" and unknown is not None:
        skip = unknown if skip is None else skip | unknown
    emptied = int(unknown.sum()) if rule.otherwise == "empty" and unknown is not None else 0
    if rule.default is not None:
        text = text.fill_null(rule.default)
    return SourceText(raw, text, skip, emptied)


def translate(
    text: pl.Series, words: dict[str, str], otherwise: str, allowed: tuple[str, ...]
) -> tuple[pl.Series, pl.Series | None]:
    """Value map applied; with the mask of values it does not name (unless those simply stay)."""
    if not words and otherwise == "keep":
        return text, None
    lowered = text.str.to_lowercase()
    mapped = lowered.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)
    result = mapped.zip_with(mapped.is_not_null(), text)
    if otherwise == "keep":
        return result, None
    unknown = text.is_not_null() & mapped.is_null()
    if allowed:
        unknown &= ~lowered.str.replace_all(r"[\s\-]+", "_").is_in(allowed).fill_null(value=False)
    return result.set(unknown, None if otherwise in {"empty", "skip"} else otherwise), unknown


def _raw(frame: pl.DataFrame, plan: Plan, column: str, rule: ColumnRule) -> pl.Series:
    if rule.constant is not None:
        return pl.repeat(rule.constant, frame.height, eager=True, dtype=pl.String).alias(column)
    keys = plan.sources.get(column, ())
    if not keys:
        return pl.repeat(None, frame.height, eager=True, dtype=pl.String).alias(column)
    if rule.template is None:
        return frame.select(pl.coalesce(keys).alias(column))[column]
    literal = re.split(r"\{[^{}]+\}", rule.template)
    parts: list[pl.Expr] = [pl.lit(literal[0])]
    for key, after in zip(keys, literal[1:], strict=True):
        parts += [pl.col(key).fill_null(""), pl.lit(after)]
    joined = pl.concat_str(parts).str.replace_all(r"\s+", " ").str.strip_chars()
    return frame.select(
        pl.when(pl.any_horizontal(pl.col(key).is_not_null() for key in keys)).then(joined).alias(column)
    )[column]


def as_one_form(text: pl.Series) -> pl.Series:
    """Salesforce's 15-character ids (reports) and 18-character ids (all other exports) in one form.

    The three further letters encode which of the 15 are capitals. Ids with capitals get them; ids without lose the
    AAA that says so, which also leaves any other system's ids as they are.
    """
    short = text.str.contains(r"^[0-9a-zA-Z]{15}$") & text.str.contains(r"[A-Z]")
    bare = text.str.contains(r"^[0-9a-z]{15}AAA$")
    for mask, change in ((short, _with_check_letters), (bare, _without_check_letters)):
        distinct = text.filter(mask.fill_null(value=False)).unique()
        if distinct.len():
            text = text.replace(distinct, pl.Series([change(value) for value in distinct.to_list()]))
    return text


def _without_check_letters(identifier: str) -> str:
    return identifier[:15]


def _with_check_letters(identifier: str) -> str:
    letters = ""
    for start in (0, 5, 10):
        bits = sum(1 << at for at, letter in enumerate(identifier[start : start + 5]) if "A" <= letter <= "Z")
        letters += _CHECK_LETTERS[bits]
    return identifier + letters
