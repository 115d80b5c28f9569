"""Which tables are kept between publications, and what each of them rests on (see ``kept``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Steady:
    """A small table that the rows of untouched opportunities rest on.

    Where a row of the same ``key`` was there the last time, its ``columns`` must be equal. ``grows``: no row may be
    gone either; ``stays``: and none may be new. ``where`` narrows the rows looked at.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()
    grows: bool = False
    stays: bool = False
    where: str = "true"


@dataclass(frozen=True)
class Cells:
    """A small table of the instants looked at. Every row of the group belongs to one of them (``key``) and no cell
    rests on another, so that cells whose ``columns`` are not what they were are made anew, and they alone.

    ``grows``: an instant that may have moved on where it was the last one, the as-of: whatever happened between the two
    happened to opportunities that are touched, so that the part of the others is what it was.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    grows: str = ""


@dataclass(frozen=True)
class Group:
    """Tables made one after the other from ``inputs`` (rows per opportunity, like these); the last one is kept.

    ``after``: kept tables of which single rows must have been replaced, and not all rows made anew. ``is_summed``: the
    kept rows are sums over ``inputs``, which come and go with them; ``before``: small tables that what goes was summed
    with, as they were. ``told_by``: the kept rows are sums put in order, and rest on the rows of ``inputs`` with the
    same values of these columns alone.
    """

    tables: tuple[str, ...]
    inputs: tuple[str, ...]
    after: tuple[str, ...] = ()
    steady: tuple[Steady, ...] = ()
    cells: Cells | None = None
    is_summed: bool = False
    before: tuple[str, ...] = ()
    told_by: tuple[str, ...] = ()

    @property
    def kept(self) -> str:
        return self.tables[-1]


_STAGES = Steady("stage_flags", ("stage",), ("is_closed", "is_won", "is_listed"))
_LOADS = Steady(
    "extract_loads",
    ("load_id",),
    (
        "stated", "has_amount", "has_currency", "has_forecast_category", "has_probability_rate", "has_is_deleted",
        "is_lacking",
    ),
)  # fmt: skip
_RATES = Steady("fx_days", ("currency", "on_day"), ("rate",), grows=True)
_DAYS = Steady("calendar_days", ("on_day",), ("period_start_on",))
_FREEZES = Steady("calendar", ("period_start_on",), ("freeze_at",))
_PERIODS = Steady(
    "movement_spans", ("span_start_on",), ("from_at",), grows=True, stays=True, where="span_kind = 'period'"
)

_LINEAGE = Steady("lineage", ("person_id", "ancestor_id", "from_on", "to_on", "depth"), grows=True, stays=True)

_WEEKS = Cells("pipeline_weeks", ("period_start_on", "week_of_period"), ("until_at",))
_LOOKS = Cells("movement_looks", ("period_start_on", "place"), ("span_start_on",), grows="stood_at")
_SPANS = Cells("movement_spans", ("span_kind", "span_start_on"), ("span_end_on", "period_start_on"))

_FACTS = ("opportunity_rows", "opportunity_history", "opportunity_states")
_EXTRACTS = (*_FACTS, "opportunity_extracts")
_VERSIONS = (*_EXTRACTS, "opportunity_versions")
_PATH = (*_VERSIONS, "movement_path")

GROUPS: tuple[Group, ...] = (
    *(Group((table,), ("landed_rows",)) for table in _FACTS),
    Group(("opportunity_seen", "opportunity_extracts"), ("opportunity_rows",), _FACTS, (_STAGES, _LOADS)),
    Group(
        (
            "opportunity_absences",
            "opportunity_changes",
            "opportunity_openings",
            "opportunity_closings",
            "opportunity_events",
            "opportunity_versions",
        ),
        ("opportunity_extracts", "opportunity_history", "opportunity_states"),
        _EXTRACTS,
        (_STAGES, _RATES),
    ),
    Group(("won_deals",), ("frozen_versions",), _VERSIONS, (_DAYS, _FREEZES)),
    Group(
        ("pipeline_cube",),
        ("opportunity_versions",),
        _VERSIONS,
        (_DAYS,),
        _WEEKS,
        is_summed=True,
    ),
    Group(("weekly_sums",), ("pipeline_cube",), (*_VERSIONS, "pipeline_cube"), (_LINEAGE,), _WEEKS, is_summed=True),
    Group(("pipeline_weekly",), ("weekly_sums",), ("pipeline_cube", "weekly_sums"), cells=_WEEKS, told_by=("scope",)),
    Group(("movement_path",), ("opportunity_versions", "opportunity_extracts"), _VERSIONS, (_DAYS, _PERIODS)),
    Group(("movement_steps",), ("movement_path",), _PATH),
    Group(("movement_stood",), ("movement_path",), _PATH, cells=_LOOKS, is_summed=True, before=("owner_scopes",)),
    Group(
        ("movement_moved",),
        ("movement_steps",),
        (*_PATH, "movement_steps"),
        cells=_LOOKS,
        is_summed=True,
        before=("owner_scopes",),
    ),
    Group(
        ("pipeline_movement",),
        ("movement_stood", "movement_moved"),
        (*_PATH, "movement_steps", "movement_stood", "movement_moved"),
        cells=_SPANS,
        told_by=("period_start_on", "scope"),
    ),
)
"""Whatever one of them rests on comes before it."""

GROUP_OF = {table: group for group in GROUPS for table in group.tables}

REMEMBERED = ("opportunity_extracts", "opportunity_versions")
"""Tables whose replaced rows are still needed: what they gave to a digest or a sum is taken off again."""

TAKEN_OFF = (*REMEMBERED, "movement_path", "movement_steps")
"""These, and those whose replaced rows only sums are made of."""

NOTED = (
    "stage_flags", "extract_loads", "fx_days", "calendar", "calendar_days", "pipeline_weeks", "movement_spans",
    "movement_looks", "lineage", "owner_scopes",
)  # fmt: skip
"""Small tables as they were when the kept ones were made."""
