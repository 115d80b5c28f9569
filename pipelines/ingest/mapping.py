"""Mapping files: how a CRM's headers and notations become the canonical tables. TOML, no code.

A mapping holds layouts; a layout says which table a file is and where each canonical column comes from::

    name = "acme"                       # default: the file's name
    version = 1                         # of a preset: a higher one lets files be read again by it
    canonical_names = true              # every layout also knows the canonical column names as headers
    extends = "salesforce"              # take over that mapping's layouts and settings; what follows wins
    date_format = "d/m/y"               # or "m/d/y", "y/m/d", or a strptime pattern such as "%d-%b-%Y"
    decimal = ","                       # or "."; without it each column is read as it must be, or refused
    timezone = "Europe/Berlin"          # of instants written without an offset; default UTC
    missing = ["-", "unknown"]          # further words for "no value" in dates, numbers, flags
    true = ["ja"]                       # further words for true, and likewise false
    symbols = { "$" = "USD" }           # the currency a symbol stands for here

    [values.forecast_category]          # old = new, in every layout's column of that name
    "Upside" = "best_case"

    [layouts.deals]
    table = "opportunities"
    require = ["StageName"]             # headers without which a file is not this layout
    any_of = ["stage", "amount"]        # at least one of these canonical columns must be found
    also = ["managers"]                 # further layouts applied to the same file
    distinct = true                     # equal rows are one row
    footer = ["^Grand Totals"]          # patterns of a report's closing lines
    keep = [{ column = "WhatId", matches = "^006" }]
    skip = [{ column = "IsTest", in = ["true"] }, { column = "Manager", found_in = "Owner" }]
    unpivot = { headers = "M(\\\\d\\\\d)", name = "Month", value = "Target" }

    [layouts.deals.columns]
    opportunity_id = "Id"                                # one header ...
    owner_id = ["OwnerId", "Owner ID"]                   # ... or the first of several that is there
    close_on = { from = ["ActualClose", "EstClose"], coalesce = true }   # per row, the first that is filled
    layer = { constant = "rep" }                         # no header at all
    category = { from = "Category", default = "commit" }  # for an empty cell or an absent header
    name = { template = "{First Name} {Last Name}" }     # headers in braces
    is_won = { from = "Status", map = { Won = "true" }, otherwise = "false" }
    manager_id = { from = "Manager", lookup = { match = "Owner", give = "OwnerSeq" } }

    [layouts.changes.fields]            # opportunity_history only: the CRM's field names per canonical column
    stage = "StageName"
    probability_rate = { from = "Probability", scale = "percent" }

Headers match without regard to case, spaces and punctuation. A column is a header, a list, or a table with:

``from``, ``coalesce``, ``constant``, ``default``, ``template`` (see above);
``map``: old value = new value, without regard to case; ``otherwise``: what happens to a value ``map`` does not name:
``keep`` (default), ``empty`` (left empty and counted), ``skip`` (the row is left out and counted), or any other word:
that value;
``scale``: of rates: ``rate`` (0 to 1, the default; a % sign divides by 100), ``percent``, or ``auto`` (percent if any
value of the column is above 1);
``multiply`` (``1000`` for a sheet in thousands), ``invert`` (1 ÷ value: rates quoted the other way round);
``extract``: a pattern whose first group is the value; ``matches``: a pattern; other values leave the row out, counted;
``lookup``: ``match`` the value in one column of the same file, ``give`` another column of that row; ``otherwise``
``keep`` (default) or ``empty``;
``identifier = "salesforce"``: the 15-character ids of reports and the 18-character ids of other exports get one form;
``date_format``, ``decimal``: as above, for this column alone.

A condition of ``keep`` (all must hold) or ``skip`` (any suffices) names a ``column`` (a header) and one of ``in``,
``matches``, ``present`` (true or false), ``found_in`` (a header: the value occurs there); a header that the file does
not have makes a condition void.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
import zoneinfo
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import MappingError
from pipelines.ingest.formats import key_of
from pipelines.ingest.values import ORDERS

PRESETS = ("generic", "salesforce", "hubspot", "dynamics")
FOLDER = Path(__file__).parent / "mappings"
SCALES = ("rate", "percent", "auto")
HISTORY_FIELDS = tuple(name for name in INPUT_TABLES["opportunities"].columns if name != "opportunity_id")


@dataclass(frozen=True)
class Lookup:
    """Find the value under ``match`` in the same file and take what stands under ``give`` (both keys)."""

    match: str
    give: str
    keeps_unknown: bool = True


@dataclass(frozen=True)
class ColumnRule:
    """Where one canonical column comes from. ``headers`` are keys; see the module's text for the rest."""

    headers: tuple[str, ...] = ()
    coalesce: bool = False
    constant: str | None = None
    default: str | None = None
    template: str | None = None
    values: MappingType[str, str] = field(default_factory=dict)
    otherwise: str = "keep"
    scale: str = "rate"
    multiply: Decimal | None = None
    invert: bool = False
    extract: str | None = None
    matches: str | None = None
    lookup: Lookup | None = None
    identifier: str | None = None
    date_format: str | None = None
    decimal: str | None = None

    @property
    def template_keys(self) -> tuple[str, ...]:
        return tuple(key_of(name) for name in re.findall(r"\{([^{}]+)\}", self.template or ""))


@dataclass(frozen=True)
class Condition:
    """One test of a row, on the text under ``key``."""

    key: str
    one_of: tuple[str, ...] | None = None
    matches: str | None = None
    present: bool | None = None
    found_in: str | None = None


@dataclass(frozen=True)
class Unpivot:
    """Columns whose header matches ``headers`` become rows: the header's first group (or all of it), and the cell."""

    headers: str
    name: str
    value: str


@dataclass(frozen=True)
class LayoutRule:
    """One kind of file."""

    name: str
    table: str
    columns: MappingType[str, ColumnRule]
    fields: MappingType[str, ColumnRule] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    keep: tuple[Condition, ...] = ()
    skip: tuple[Condition, ...] = ()
    footer: tuple[str, ...] = ()
    unpivot: Unpivot | None = None
    distinct: bool = False


@dataclass(frozen=True)
class Mapping:
    """A mapping file. ``label`` is its name in the ledger: another content is another mapping."""

    name: str
    label: str
    layouts: MappingType[str, LayoutRule]
    values: MappingType[str, MappingType[str, str]] = field(default_factory=dict)
    date_format: str | None = None
    decimal: str | None = None
    timezone: str | None = None
    missing: tuple[str, ...] = ()
    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()
    symbols: MappingType[str, str] = field(default_factory=dict)


def load(name_or_file: str) -> Mapping:
    """A preset by name, or a TOML file by path."""
    if name_or_file in PRESETS:
        return preset(name_or_file)
    path = Path(name_or_file).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(name_or_file.lower(), PRESETS, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Presets are {', '.join(PRESETS)}."
        raise MappingError(f"There is no mapping {name_or_file!r}, neither a preset nor a file.", hint)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"The mapping {path.name} cannot be read: {error}.", "Save it as UTF-8 text.") from error
    return parse(text, path.stem, path.name)


@cache
def preset(name: str) -> Mapping:
    """One of ``PRESETS``."""
    return parse((FOLDER / f"{name}.toml").read_text(encoding="utf-8"), name, f"{name}.toml", is_preset=True)


def parse(text: str, name: str, file_name: str, *, is_preset: bool = False) -> Mapping:
    """Check and build a mapping from TOML text."""
    try:
        stated = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"The mapping {file_name} is not valid TOML: {error}.", "Correct that line.") from error
    return _Reader(file_name).mapping(stated, name, text, is_preset=is_preset)


_TOP = {
    "name", "version", "extends", "canonical_names", "date_format", "decimal", "timezone", "missing", "true", "false",
    "symbols", "values", "layouts",
}  # fmt: skip
_LAYOUT = {
    "table", "require", "any_of", "also", "distinct", "footer", "keep", "skip", "unpivot", "columns", "fields",
}  # fmt: skip
_COLUMN = {
    "from", "coalesce", "constant", "default", "template", "map", "otherwise", "scale", "multiply", "invert", "extract",
    "matches", "lookup", "identifier", "date_format", "decimal",
}  # fmt: skip
_CONDITION = {"column", "in", "matches", "present", "found_in"}


class _Reader:
    """Turns TOML into rules; every complaint names the file and the place."""

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name

    def fail(self, where: str, problem: str, remedy: str) -> MappingError:
        return MappingError(f"In the mapping {self.file_name}, {where} {problem}.", remedy)

    def known(self, where: str, stated: object, allowed: set[str] | tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(stated, dict):
            raise self.fail(where, f"is {stated!r}, not a table", "See the mapping language's description.")
        for key in stated:
            if key not in allowed:
                near = difflib.get_close_matches(key, sorted(allowed), 1)
                hint = f"Did you mean {near[0]}?" if near else f"Known here are {', '.join(sorted(allowed))}."
                raise self.fail(where, f"has the unknown key {key!r}", hint)
        return stated

    def words(self, where: str, stated: object) -> tuple[str, ...]:
        if isinstance(stated, str):
            return (stated,)
        if isinstance(stated, list) and all(isinstance(item, str) for item in stated):
            return tuple(stated)
        raise self.fail(where, f"is {stated!r}", "Write a word in quotation marks, or a list of them.")

    def pairs(self, where: str, stated: object) -> dict[str, str]:
        if isinstance(stated, dict) and all(isinstance(value, str) for value in stated.values()):
            return {key.strip().casefold(): value for key, value in stated.items()}
        raise self.fail(where, "is not a table of old = new", 'Write { "Old" = "new" }, both in quotation marks.')

    def pattern(self, where: str, stated: object) -> str:
        try:
            if not isinstance(stated, str):
                raise re.error("it is not text")
            re.compile(stated)
        except re.error as error:
            raise self.fail(where, f"is not a regular expression: {error}", "Correct the pattern.") from error
        return stated

    def mapping(self, stated: dict[str, Any], name: str, text: str, *, is_preset: bool) -> Mapping:
        self.known("the top level", stated, _TOP)
        name = str(stated.get("name", name))
        version = stated.get("version", 1)
        label = name if is_preset else f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        if is_preset and version != 1:
            label = f"{name}@{version}"
        base = load(str(stated["extends"])) if "extends" in stated else Mapping(name, label, {})
        layouts = dict(base.layouts)
        for layout, content in self.known_tables("layouts", stated.get("layouts", {})).items():
            canonical = bool(stated.get("canonical_names", False))
            layouts[layout] = self.layout(layout, content, canonical_names=canonical)
        if not layouts:
            raise self.fail(
                "the top level", "has no layouts", 'Add a [layouts.NAME] with a table, or extends = "generic".'
            )
        for rule in layouts.values():
            for other in rule.also:
                if other not in layouts:
                    raise self.fail(f"layouts.{rule.name}.also", f"names {other!r}, which is no layout", "Correct it.")
        values = {column: dict(pairs) for column, pairs in base.values.items()}
        for column, pairs in self.known_tables("values", stated.get("values", {})).items():
            values.setdefault(column, {}).update(self.pairs(f"values.{column}", pairs))
        return Mapping(
            name,
            label,
            layouts,
            values,
            date_format=self.date_format("date_format", stated.get("date_format", base.date_format)),
            decimal=self.decimal("decimal", stated.get("decimal", base.decimal)),
            timezone=self.timezone(stated.get("timezone", base.timezone)),
            missing=base.missing + self.words("missing", stated.get("missing", [])),
            true_words=base.true_words + self.words("true", stated.get("true", [])),
            false_words=base.false_words + self.words("false", stated.get("false", [])),
            symbols={**base.symbols, **self.pairs("symbols", stated.get("symbols", {}))},
        )

    def known_tables(self, where: str, stated: object) -> dict[str, Any]:
        if not isinstance(stated, dict):
            raise self.fail(where, "is not a table", f"Write [{where}.NAME].")
        return stated

    def date_format(self, where: str, stated: object) -> str | None:
        if stated is None or stated in ORDERS or (isinstance(stated, str) and "%" in stated):
            return stated if isinstance(stated, str) else None
        raise self.fail(where, f"is {stated!r}", f"Use one of {', '.join(ORDERS)}, or a pattern such as %d-%b-%Y.")

    def decimal(self, where: str, stated: object) -> str | None:
        if stated is None or stated in (".", ","):
            return stated if isinstance(stated, str) else None
        raise self.fail(where, f"is {stated!r}", 'Use "." or ",".')

    def timezone(self, stated: object) -> str | None:
        if stated is None:
            return None
        try:
            zoneinfo.ZoneInfo(str(stated))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise self.fail("timezone", f"is {stated!r}", "Use a name such as Europe/Berlin or UTC.") from error
        return str(stated)

    def layout(self, name: str, stated: object, *, canonical_names: bool) -> LayoutRule:
        where = f"layouts.{name}"
        content = self.known(where, stated, _LAYOUT)
        table = content.get("table")
        if table not in INPUT_TABLES:
            near = difflib.get_close_matches(str(table), list(INPUT_TABLES), 1)
            hint = f"Did you mean {near[0]}?" if near else f"Tables are {', '.join(INPUT_TABLES)}."
            raise self.fail(where, f"is for the table {table!r}, which does not exist", hint)
        names = INPUT_TABLES[table].columns
        columns = {
            column: self.column(f"{where}.columns.{column}", rule)
            for column, rule in self.known(f"{where}.columns", content.get("columns", {}), names).items()
        }
        if canonical_names:
            for column in names:
                rule = columns.get(column, ColumnRule())
                columns[column] = replace(rule, headers=(key_of(column), *rule.headers))
        fields = {
            column: self.column(f"{where}.fields.{column}", rule)
            for column, rule in self.known(f"{where}.fields", content.get("fields", {}), HISTORY_FIELDS).items()
        }
        unpivot = None
        if "unpivot" in content:
            parts = self.known(f"{where}.unpivot", content["unpivot"], {"headers", "name", "value"})
            if len(parts) != 3:
                raise self.fail(f"{where}.unpivot", "needs headers, name and value", "State all three.")
            pattern = self.pattern(f"{where}.unpivot.headers", parts["headers"])
            unpivot = Unpivot(pattern, key_of(str(parts["name"])), key_of(str(parts["value"])))
        return LayoutRule(
            name,
            table,
            columns,
            fields,
            require=tuple(key_of(word) for word in self.words(f"{where}.require", content.get("require", []))),
            any_of=self.words(f"{where}.any_of", content.get("any_of", [])),
            also=self.words(f"{where}.also", content.get("also", [])),
            keep=self.conditions(f"{where}.keep", content.get("keep", [])),
            skip=self.conditions(f"{where}.skip", content.get("skip", [])),
            footer=tuple(
                self.pattern(f"{where}.footer", word)
                for word in self.words(f"{where}.footer", content.get("footer", []))
            ),
            unpivot=unpivot,
            distinct=bool(content.get("distinct", False)),
        )

    def conditions(self, where: str, stated: object) -> tuple[Condition, ...]:
        if not isinstance(stated, list):
            raise self.fail(where, "is not a list", "Write [{ column = ..., in = [...] }].")
        return tuple(self.condition(where, item) for item in stated)

    def condition(self, where: str, stated: object) -> Condition:
        parts = self.known(where, stated, _CONDITION)
        if "column" not in parts or len(parts) != 2:
            raise self.fail(where, "needs a column and one test", "Tests are in, matches, present, found_in.")
        return Condition(
            key_of(str(parts["column"])),
            one_of=tuple(word.casefold() for word in self.words(where, parts["in"])) if "in" in parts else None,
            matches=self.pattern(where, parts["matches"]) if "matches" in parts else None,
            present=bool(parts["present"]) if "present" in parts else None,
            found_in=key_of(str(parts["found_in"])) if "found_in" in parts else None,
        )

    def column(self, where: str, stated: object) -> ColumnRule:
        if isinstance(stated, str | list):
            stated = {"from": stated}
        parts = self.known(where, stated, _COLUMN)
        if not {"from", "constant", "template", "default"} & set(parts):
            raise self.fail(where, "has no source", "State from, template or constant.")
        scale = parts.get("scale", "rate")
        if scale not in SCALES:
            raise self.fail(f"{where}.scale", f"is {scale!r}", f"Use one of {', '.join(SCALES)}.")
        if parts.get("identifier") not in (None, "salesforce"):
            raise self.fail(f"{where}.identifier", f"is {parts['identifier']!r}", 'Only "salesforce" is known.')
        multiply = parts.get("multiply")
        if multiply is not None and (isinstance(multiply, bool) or not isinstance(multiply, int | float)):
            raise self.fail(f"{where}.multiply", f"is {multiply!r}", "Use a number.")
        lookup = None
        if "lookup" in parts:
            found = self.known(f"{where}.lookup", parts["lookup"], {"match", "give", "otherwise"})
            if not {"match", "give"} <= set(found):
                raise self.fail(f"{where}.lookup", "needs match and give", "Name two headers of the same file.")
            lookup = Lookup(key_of(found["match"]), key_of(found["give"]), found.get("otherwise", "keep") == "keep")
        return ColumnRule(
            headers=tuple(key_of(word) for word in self.words(where, parts.get("from", []))),
            coalesce=bool(parts.get("coalesce", False)),
            constant=_text(parts.get("constant")),
            default=_text(parts.get("default")),
            template=_text(parts.get("template")),
            values=self.pairs(f"{where}.map", parts.get("map", {})),
            otherwise=str(parts.get("otherwise", "keep")),
            scale=scale,
            multiply=None if multiply is None else Decimal(str(multiply)),
            invert=bool(parts.get("invert", False)),
            extract=self.pattern(f"{where}.extract", parts["extract"]) if "extract" in parts else None,
            matches=self.pattern(f"{where}.matches", parts["matches"]) if "matches" in parts else None,
            lookup=lookup,
            identifier=parts.get("identifier"),
            date_format=self.date_format(f"{where}.date_format", parts.get("date_format")),
            decimal=self.decimal(f"{where}.decimal", parts.get("decimal")),
        )


def _text(stated: object) -> str | None:
    return None if stated is None else str(stated).lower() if isinstance(stated, bool) else str(stated)
