"""Which table a file is, from its header alone.

A layout fits when every required column has a source. Of the layouts that fit, the one wins whose ``require`` list is
longest, then the one that uses most columns of the file. Two tables that fit equally well are a question for a person.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.contracts import INPUT_TABLES, InputTable
from pipelines.errors import FileError
from pipelines.ingest.formats import Export, key_of
from pipelines.ingest.mapping import ColumnRule, LayoutRule, Mapping

SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class Plan:
    """A layout bound to one file's header. ``sources``: the file's keys behind each canonical column it can fill."""

    mapping: Mapping
    layout: LayoutRule
    sources: dict[str, tuple[str, ...]]

    @property
    def table(self) -> InputTable:
        return INPUT_TABLES[self.layout.table]

    @property
    def label(self) -> str:
        """The mapping's name in the ledger: its own, and the layout's where that says more."""
        name = self.layout.name
        return self.mapping.label if name == self.layout.table else f"{self.mapping.label}/{name}"

    @property
    def stated_columns(self) -> tuple[str, ...]:
        """Canonical columns that this file says something about: its own, and those the mapping gives it."""
        rules = self.layout.columns
        return tuple(name for name in rules if self.sources.get(name) or not _needs_header(rules[name]))

    @property
    def used_keys(self) -> frozenset[str]:
        return frozenset(key for keys in self.sources.values() for key in keys)


def recognise(export: Export, mappings: Sequence[Mapping], table: str | None = None) -> list[Plan]:
    """The plans by which this file is read: the best layout and those it names in ``also``.

    Errors: FileError naming the columns wanted, those found and the nearest names; ``is_near_miss`` tells from it
    whether the file was meant to be a table at all.
    """
    fitting: list[tuple[tuple[int, int], Plan]] = []
    nearest: tuple[float, int, Mapping, LayoutRule] | None = None
    for mapping in mappings:
        for layout in mapping.layouts.values():
            if table is not None and layout.table != table:
                continue
            plan = bind(mapping, layout, export)
            missing = _missing(plan, export.keys)
            if not missing:
                fitting.append(((len(layout.require), len(plan.used_keys)), plan))
            share = _share_found(plan)
            if nearest is None or (share, len(plan.used_keys)) > nearest[:2]:
                nearest = (share, len(plan.used_keys), mapping, layout)
    if fitting:
        best = max(score for score, _ in fitting)
        winners = [plan for score, plan in fitting if score == best]
        if len({plan.layout.table for plan in winners}) > 1:
            tables = " or ".join(sorted({plan.layout.table for plan in winners}))
            raise FileError(
                f"{export.file_name} could be {tables}: its columns fit both ({_listed(export.header)}).",
                f"Say which with --as, for example --as {winners[0].layout.table}.",
            )
        winner = winners[0]
        _check_repeated(export, winner)
        return [winner, *(bind(winner.mapping, winner.mapping.layouts[name], export) for name in winner.layout.also)]
    if nearest is None:
        raise FileError(
            f"No mapping in use has the table {table}, so {export.file_name} cannot be read as that.",
            f"Tables are {', '.join(INPUT_TABLES)}; choose one, or another --mapping.",
        )
    raise _unrecognised(export, nearest[2], nearest[3])


def _check_repeated(export: Export, plan: Plan) -> None:
    repeated = [key for key in plan.used_keys if f"{key}#2" in export.keys]
    if repeated:
        header = export.header[export.keys.index(min(repeated))]
        raise FileError(
            f"{export.file_name} has the column {header!r} more than once, and which one is meant is not said.",
            "Export it again with each column once.",
        )


def is_near_miss(export: Export, mappings: Sequence[Mapping]) -> bool:
    """Whether the file was meant as a table: most of its required columns are there, or all are but for spelling."""
    for mapping in mappings:
        for layout in mapping.layouts.values():
            plan = bind(mapping, layout, export)
            missing = _missing(plan, export.keys)
            wanted = len(layout_required(plan)) + len(layout.require)
            found = wanted - len(missing)
            is_misspelt = all(_nearest(name, layout.columns.get(name), export, plan.used_keys, 0.8) for name in missing)
            if found and ((found >= 3 and found * 3 > 2 * wanted) or is_misspelt):
                return True
    return False


def layout_required(plan: Plan) -> tuple[str, ...]:
    """Required columns that must come from the file, not from a constant."""
    rules = plan.layout.columns
    return tuple(name for name in plan.table.required if _needs_header(rules.get(name)))


def _needs_header(rule: ColumnRule | None) -> bool:
    return rule is None or (rule.constant is None and rule.default is None)


def bind(mapping: Mapping, layout: LayoutRule, export: Export) -> Plan:
    """The layout on this file's header, whether it fits or not."""
    available = _available(layout, export)
    sources: dict[str, tuple[str, ...]] = {}
    for column, rule in layout.columns.items():
        if rule.template is not None:
            if all(key in available for key in rule.template_keys):
                sources[column] = rule.template_keys
            continue
        found = tuple(dict.fromkeys(key for key in rule.headers if key in available))
        sources[column] = found if rule.coalesce else found[:1]
    return Plan(mapping, layout, sources)


def _available(layout: LayoutRule, export: Export) -> frozenset[str]:
    unpivot = layout.unpivot
    if unpivot is None:
        return frozenset(export.keys)
    molten = unpivoted_keys(layout, export)
    return frozenset(set(export.keys) - set(molten)) | ({unpivot.name, unpivot.value} if molten else frozenset())


def unpivoted_keys(layout: LayoutRule, export: Export) -> dict[str, str]:
    """Keys of the columns that become rows, each with the name its rows get."""
    if layout.unpivot is None:
        return {}
    pattern = re.compile(layout.unpivot.headers)
    found = {key: pattern.fullmatch(header) for key, header in zip(export.keys, export.header, strict=True)}
    return {key: (match[1] if match.re.groups else match[0]) for key, match in found.items() if match}


def _missing(plan: Plan, keys: tuple[str, ...]) -> list[str]:
    missing = [name for name in layout_required(plan) if not plan.sources.get(name)]
    missing += [f"the header {key}" for key in plan.layout.require if key not in keys]
    if plan.layout.any_of and not any(plan.sources.get(name) for name in plan.layout.any_of):
        missing.append(" or ".join(plan.layout.any_of))
    return missing


def _share_found(plan: Plan) -> float:
    required = layout_required(plan)
    return sum(1 for name in required if plan.sources.get(name)) / max(len(required), 1)


def _unrecognised(export: Export, mapping: Mapping, layout: LayoutRule) -> FileError:
    plan = bind(mapping, layout, export)
    missing = _missing(plan, export.keys)
    table = layout.table
    problem = (
        f"{export.file_name} is not recognised as a table: the nearest is {table} ({mapping.name}), "
        f"which also needs {', '.join(missing)}; the file has {_listed(export.header)}."
    )
    hints = [
        f"{near!r} may be {column}"
        for column in missing
        if (near := _nearest(column, layout.columns.get(column), export, plan.used_keys))
    ]
    advice = f"({'; '.join(hints)}) " if hints else ""
    return FileError(
        problem, f"Rename the columns {advice}or describe the file in a mapping and pass it with --mapping."
    )


def _nearest(
    column: str, rule: ColumnRule | None, export: Export, used: frozenset[str], cutoff: float = 0.6
) -> str | None:
    wanted = {key_of(column), *(rule.headers if rule else ())}
    free = {key: header for key, header in zip(export.keys, export.header, strict=True) if key not in used}
    close = [
        (difflib.SequenceMatcher(None, near, word).ratio(), near)
        for word in wanted
        for near in difflib.get_close_matches(word, free, 1, cutoff)
    ]
    return free[max(close)[1]] if close else None


def _listed(header: tuple[str, ...]) -> str:
    shown = ", ".join(cell[:40] or "(unnamed)" for cell in header[:SHOWN_COLUMNS])
    more = len(header) - SHOWN_COLUMNS
    return f"{shown} and {more:,} more" if more > 0 else shown
