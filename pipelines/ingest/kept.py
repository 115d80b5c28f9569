"""Mappings that people corrected on a page: written as mapping files into the workspace, and used for the next file.

A kept mapping requires every header of the file it was made for. The recognition prefers the layout that requires most,
so the next file with that header is read as the last one was, and no other file is.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import MappingError, WorkspaceError
from pipelines.ingest import mapping as mappings
from pipelines.ingest.formats import Export, key_of
from pipelines.ingest.mapping import ColumnRule, Condition, LayoutRule
from pipelines.ingest.values import ORDERS
from pipelines.settings import Workspace


@dataclass(frozen=True)
class Correction:
    """What a person says of one file: its table, the header of each canonical column that is to come from another one
    (None: from none), the order of its dates and its decimal sign (None: as found)."""

    table: str
    columns: tuple[tuple[str, str | None], ...] = ()
    date_format: str | None = None
    decimal: str | None = None


def nameable_headers(export: Export) -> tuple[str, ...]:
    """Headers a mapping can name: written, and written once."""
    return tuple(
        header
        for header, key in zip(export.header, export.keys, strict=True)
        if key == key_of(header) and key and f"{key}#2" not in export.keys
    )


def file_name_of(export: Export) -> str:
    """The mapping file of every export with this header, whatever the order of its columns."""
    return f"header-{hashlib.sha256(chr(31).join(sorted(export.keys)).encode()).hexdigest()[:12]}.toml"


def corrected(export: Export, base: mappings.Mapping, layout: LayoutRule, correction: Correction) -> str:
    """The mapping file that reads files with this header as ``base`` does by ``layout``, but for the correction.

    Errors: MappingError where the correction names a column, header or notation that does not exist.
    """
    if correction.table not in INPUT_TABLES or layout.table != correction.table:
        raise MappingError(f"There is no table {correction.table!r}.", f"Tables are {', '.join(INPUT_TABLES)}.")
    offered = nameable_headers(export)
    columns = dict(layout.columns)
    for column, header in correction.columns:
        if column not in INPUT_TABLES[correction.table].columns or (header is not None and header not in offered):
            raise MappingError(
                f"{column!r} cannot come from {header!r} of {export.file_name}.",
                f"Its headers are {', '.join(offered)}.",
            )
        if header is None:
            columns.pop(column, None)
        else:
            columns[column] = replace(
                columns.get(column, ColumnRule()), headers=(key_of(header),), coalesce=False, constant=None,
                template=None,
            )  # fmt: skip
    if correction.date_format not in (None, *ORDERS) or correction.decimal not in (None, ".", ","):
        raise MappingError(
            f"Dates as {correction.date_format!r} or numbers as {correction.decimal!r} are not known.",
            f"Dates are one of {', '.join(ORDERS)}; the decimal sign is a point or a comma.",
        )
    stated = replace(
        base,
        name=f"corrected {Path(file_name_of(export)).stem}",
        date_format=correction.date_format or base.date_format,
        decimal=correction.decimal or base.decimal,
    )
    chosen = replace(layout, columns=columns, require=tuple(key_of(header) for header in offered))
    return text_of(stated, [chosen, *(base.layouts[name] for name in layout.also)])


def keep(folder: Path, export: Export, text: str) -> Path:
    """Write a mapping file for this header into ``folder``, in place of an earlier one.

    Errors: MappingError when the text is no mapping; WorkspaceError when the folder cannot be written.
    """
    name = file_name_of(export)
    mappings.parse(text, Path(name).stem, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=".", suffix=".toml", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        return Path(scratch).replace(folder / name)
    except OSError as error:
        raise WorkspaceError(
            f"The mapping cannot be kept in {folder}: {error.strerror}.", "Make room, or change its permissions."
        ) from error


def kept(folders: Iterable[Path]) -> list[mappings.Mapping]:
    """The mappings kept in these folders; of two for one header the one of the first folder.

    Errors: MappingError naming the file, when one is wrong.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            if not path.name.startswith("."):
                found.setdefault(path.name, path)
    return [mappings.load(str(path)) for path in found.values()]


def in_use(workspace: Workspace, *before: Path) -> list[mappings.Mapping]:
    """Every mapping a file is tried with: those kept ``before`` and in the workspace, then the presets."""
    return [*kept([*before, workspace.mappings]), *(mappings.preset(name) for name in mappings.PRESETS)]


# Rules as text


def text_of(mapping: mappings.Mapping, layouts: Sequence[LayoutRule]) -> str:
    """A mapping file that says what ``mapping`` says of these layouts. Reading it back gives equal layouts."""
    lines = [f"name = {_word(mapping.name)}"]
    lines += [
        f"{name} = {_word(value)}"
        for name, value in (
            ("date_format", mapping.date_format),
            ("decimal", mapping.decimal),
            ("timezone", mapping.timezone),
        )
        if value is not None
    ]
    for name, words in (("missing", mapping.missing), ("true", mapping.true_words), ("false", mapping.false_words)):
        if words:
            lines.append(f"{name} = {_list(words)}")
    if mapping.symbols:
        lines.append(f"symbols = {_pairs(mapping.symbols)}")
    for column, values in mapping.values.items():
        lines += ["", f"[values.{_word(column)}]", *(f"{_word(old)} = {_word(new)}" for old, new in values.items())]
    for layout in layouts:
        lines += ["", *_layout(layout)]
    return "\n".join(lines) + "\n"


def _layout(layout: LayoutRule) -> list[str]:
    lines = [f"[layouts.{_word(layout.name)}]", f"table = {_word(layout.table)}"]
    for name, words in (
        ("require", layout.require),
        ("any_of", layout.any_of),
        ("also", layout.also),
        ("footer", layout.footer),
    ):
        if words:
            lines.append(f"{name} = {_list(words)}")
    if layout.distinct:
        lines.append("distinct = true")
    for name, conditions in (("keep", layout.keep), ("skip", layout.skip)):
        if conditions:
            lines.append(f"{name} = [{', '.join(_condition(condition) for condition in conditions)}]")
    if layout.unpivot is not None:
        unpivot = layout.unpivot
        lines.append(
            f"unpivot = {{ headers = {_word(unpivot.headers)}, name = {_word(unpivot.name)}, "
            f"value = {_word(unpivot.value)} }}"
        )
    for name, rules in (("columns", layout.columns), ("fields", layout.fields)):
        known = {column: _column(rule) for column, rule in rules.items()}
        lines += ["", f"[layouts.{_word(layout.name)}.{name}]"]
        lines += [f"{column} = {{ {rule} }}" for column, rule in known.items() if rule]
    return lines


def _condition(condition: Condition) -> str:
    test = {
        "in": None if condition.one_of is None else _list(condition.one_of),
        "matches": None if condition.matches is None else _word(condition.matches),
        "present": None if condition.present is None else _flag(condition.present),
        "found_in": None if condition.found_in is None else _word(condition.found_in),
    }
    stated = ", ".join(f"{name} = {value}" for name, value in test.items() if value is not None)
    return f"{{ column = {_word(condition.key)}, {stated} }}"


def _column(rule: ColumnRule) -> str:
    """The inside of an inline table; empty for a rule without any source, which a file cannot state."""
    if not rule.headers and rule.constant is None and rule.template is None and rule.default is None:
        return ""
    parts = {
        "from": _list(rule.headers) if rule.headers else None,
        "coalesce": "true" if rule.coalesce else None,
        "map": _pairs(rule.values) if rule.values else None,
        "scale": _word(rule.scale) if rule.scale != "rate" else None,
        "otherwise": _word(rule.otherwise) if rule.otherwise != "keep" else None,
        "multiply": None if rule.multiply is None else str(rule.multiply),
        "invert": "true" if rule.invert else None,
    }
    if rule.lookup is not None:
        otherwise = "keep" if rule.lookup.keeps_unknown else "empty"
        parts["lookup"] = (
            f"{{ match = {_word(rule.lookup.match)}, give = {_word(rule.lookup.give)}, "
            f"otherwise = {_word(otherwise)} }}"
        )
    for name in ("constant", "default", "template", "extract", "matches", "identifier", "date_format", "decimal"):
        value = getattr(rule, name)
        parts[name] = None if value is None else _word(value)
    return ", ".join(f"{name} = {value}" for name, value in parts.items() if value is not None)


def _word(text: str) -> str:
    # JSON's strings are TOML's, but for one control character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(words: Sequence[str]) -> str:
    return f"[{', '.join(_word(word) for word in words)}]"


def _pairs(pairs: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_word(old)} = {_word(new)}" for old, new in pairs.items()) + " }"


def _flag(value: bool) -> str:
    return "true" if value else "false"
