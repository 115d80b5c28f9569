"""How a file would be read, before anything of it lands: its table, each column's source and notation, what it rejects.

Nothing is written. A long file is judged on its first rows, and says so; landing reads all of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dataframely as dy
import polars as pl

from pipelines.contracts import INPUT_TABLES, RejectedRows
from pipelines.errors import FileError, MappingError
from pipelines.ingest.columns import Notation
from pipelines.ingest.delimited import LINE, Batch, Ragged
from pipelines.ingest.exports import open_exports
from pipelines.ingest.formats import Export, Refused
from pipelines.ingest.kept import Correction, corrected, keep, nameable_headers
from pipelines.ingest.mapping import Mapping, preset
from pipelines.ingest.quarantine import Sorter
from pipelines.ingest.recognition import Plan, bind, layout_required, recognise
from pipelines.ingest.survey import Survey, survey

READ_ROWS = 20_000
SAMPLES = 3
SAMPLE_LENGTH = 30
SHOWN_REJECTS = 200


@dataclass(frozen=True)
class ColumnView:
    """One column of a file. ``columns``: the canonical columns it fills; ``reading``: how its text is read, in words;
    ``samples``: its first distinct values."""

    header: str
    columns: tuple[str, ...]
    reading: str | None
    samples: tuple[str, ...]


@dataclass(frozen=True)
class TableView:
    """One table of one file, as it would land.

    ``table`` and ``mapping_name`` None where the header is not recognised; ``sources``: canonical column → header;
    ``constants``: canonical column → what the mapping gives every row; ``required`` of the table. ``row_count`` rows
    were read, all of them if ``is_whole``; ``rejected``: contracts.RejectedRows of the first of these. ``problem`` and
    ``remedy``: why it cannot be read as it stands.
    """

    file_name: str
    path: Path
    table: str | None
    mapping_name: str | None
    columns: tuple[ColumnView, ...]
    sources: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, str], ...]
    required: tuple[str, ...]
    offered: tuple[str, ...]
    row_count: int
    is_whole: bool
    accepted_count: int
    rejected_count: int
    rejected: pl.DataFrame
    notes: tuple[str, ...]
    date_format: str | None = None
    decimal: str | None = None
    problem: str | None = None
    remedy: str | None = None


def preview(paths: Sequence[Path], mappings: Sequence[Mapping], *, read_rows: int = READ_ROWS) -> list[TableView]:
    """Every table under ``paths`` as ``mappings`` would have it land; a file that cannot be read says why."""
    views: list[TableView] = []
    for path, export in _exports(paths):
        views.append(
            _refused(path, export) if isinstance(export, Refused) else _view(path, export, mappings, read_rows)
        )
    return views


def correct(
    path: Path, file_name: str, correction: Correction, mappings: Sequence[Mapping], folder: Path
) -> Path | None:
    """Keep in ``folder`` the mapping that reads this table of ``path`` as corrected; None if it has no such table.

    Errors: MappingError where the correction does not fit the file; WorkspaceError when it cannot be kept.
    """
    for _, export in _exports([path]):
        if isinstance(export, Export) and export.file_name == file_name:
            base, layout = _base(export, mappings, correction.table)
            return keep(folder, export, corrected(export, base, base.layouts[layout], correction))
    return None


def sources_of(path: Path, file_name: str, table: str, mappings: Sequence[Mapping]) -> dict[str, str]:
    """Canonical column → header, if this table of ``path`` were read as ``table``; what a correction starts from."""
    for _, export in _exports([path]):
        if isinstance(export, Export) and export.file_name == file_name:
            base, layout = _base(export, mappings, table)
            return dict(_sources(bind(base, base.layouts[layout], export), export))
    return {}


def _exports(paths: Sequence[Path]) -> Iterator[tuple[Path, Export | Refused]]:
    for path in paths:
        with tempfile.TemporaryDirectory(prefix="forecast-trust-") as spool:
            for export in open_exports(path, Path(spool)):
                yield path, export


def _base(export: Export, mappings: Sequence[Mapping], table: str) -> tuple[Mapping, str]:
    """The mapping and layout to correct: the one that reads the file as this table already, else the plain names.

    Errors: MappingError for a table that does not exist.
    """
    if table not in INPUT_TABLES:
        raise MappingError(f"There is no table {table!r}.", f"Tables are {', '.join(INPUT_TABLES)}.")
    try:
        plan = recognise(export, mappings, table)[0]
    except FileError:
        plain = preset("generic")
        return plain, next(layout.name for layout in plain.layouts.values() if layout.table == table)
    return plan.mapping, plan.layout.name


def _view(path: Path, export: Export, mappings: Sequence[Mapping], read_rows: int) -> TableView:
    first, is_whole = _first_rows(export, read_rows)
    short = replace(export, batches=lambda: iter([first]))
    bare = TableView(
        export.file_name, path, None, None, _columns(short, first, None, None), (), (), (), nameable_headers(export),
        first.frame.height, is_whole, 0, 0, RejectedRows.create_empty(), (),
    )  # fmt: skip
    try:
        plan = recognise(export, mappings)[0]
    except FileError as error:
        return replace(bare, problem=error.problem, remedy=error.remedy)
    known = replace(
        bare,
        table=plan.table.name,
        mapping_name=plan.mapping.name,
        columns=_columns(short, first, plan, None),
        sources=_sources(plan, export),
        constants=tuple(
            (column, rule.constant) for column, rule in plan.layout.columns.items() if rule.constant is not None
        ),
        required=layout_required(plan),
        date_format=plan.mapping.date_format,
        decimal=plan.mapping.decimal,
    )
    try:
        found = survey(short, plan)
        sorter = Sorter(short, plan, found)
        batches = list(sorter.batches())
    except FileError as error:
        return replace(known, problem=error.problem, remedy=error.remedy)
    rejected = pl.concat([rows for _, rows in batches])
    return replace(
        known,
        columns=_columns(short, first, plan, found),
        accepted_count=sum(rows.height for rows, _ in batches),
        rejected_count=rejected["line"].n_unique(),
        rejected=rejected.head(SHOWN_REJECTS),
        notes=sorter.tally.notes(),
    )


def _refused(path: Path, refused: Refused) -> TableView:
    return TableView(
        refused.file_name, path, None, None, (), (), (), (), (), 0, True, 0, 0, RejectedRows.create_empty(), (),
        problem=refused.error.problem, remedy=refused.error.remedy,
    )  # fmt: skip


def _first_rows(export: Export, read_rows: int) -> tuple[Batch, bool]:
    """The first rows as one batch, and whether there are no more."""
    frames: list[pl.DataFrame] = []
    ragged: list[Ragged] = []
    rows = 0
    for batch in export.batches():
        frames.append(batch.frame)
        ragged += batch.ragged
        rows += batch.frame.height
        if rows > read_rows:
            break
    if not frames:
        return Batch(pl.DataFrame(schema=dict.fromkeys([*export.keys], pl.String) | {LINE: pl.Int64})), True
    frame = pl.concat(frames)
    last = frame[LINE].max() if rows <= read_rows else frame[LINE][read_rows - 1]
    kept = tuple(item for item in ragged if rows <= read_rows or item.line <= int(str(last)))
    return Batch(frame.head(read_rows), kept), rows <= read_rows


def _sources(plan: Plan, export: Export) -> tuple[tuple[str, str], ...]:
    headers = dict(zip(export.keys, export.header, strict=True))
    return tuple((column, headers.get(keys[0], keys[0])) for column, keys in plan.sources.items() if keys)


def _columns(export: Export, first: Batch, plan: Plan | None, found: Survey | None) -> tuple[ColumnView, ...]:
    fills: dict[str, list[str]] = {}
    for column, keys in plan.sources.items() if plan else ():
        for key in keys:
            fills.setdefault(key, []).append(column)
    views = []
    for header, key in zip(export.header, export.keys, strict=True):
        columns = tuple(fills.get(key, ()))
        reading = _reading(plan, columns[0], found) if plan and columns else None
        views.append(ColumnView(header, columns, reading, _samples(first.frame[key])))
    return tuple(views)


def _samples(text: pl.Series) -> tuple[str, ...]:
    filled = text.str.strip_chars().replace("", None).drop_nulls().unique(maintain_order=True).head(SAMPLES)
    return tuple(value if len(value) <= SAMPLE_LENGTH else value[: SAMPLE_LENGTH - 1] + "…" for value in filled)


def _reading(plan: Plan, column: str, found: Survey | None) -> str:
    """``day, d/m/y``; ``amount, decimal comma``: the canonical type, and the notation where one was settled."""
    of = INPUT_TABLES[plan.table.name].schema.columns()[column]
    notation = Notation() if found is None else found.notations.get(column, Notation())
    if isinstance(of, dy.Date | dy.Datetime):
        kind = "day" if isinstance(of, dy.Date) else "instant"
        written = notation.dates.pattern or notation.dates.order
    elif isinstance(of, dy.Decimal | dy.Float64 | dy.Int64):
        kind = "amount" if isinstance(of, dy.Decimal) else "number"
        written = {".": "decimal point", ",": "decimal comma"}.get(notation.decimal or "")
        if notation.is_percent:
            written = f"{written}, in percent" if written else "in percent"
    else:
        kind, written = ("yes or no" if isinstance(of, dy.Bool) else "text"), None
    return f"{kind}, {written}" if written else kind
