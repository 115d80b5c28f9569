"""Two instants: what is true of a deal on a day (valid), and since when it was told so (recorded).

``opportunity_versions`` tells every past day as it is known now. A row is recorded when it happened, unless it says
otherwise: a change or state with a ``recorded_at`` of its own; an extract, of everything it shows, when it was taken; a
row that takes the place of other content of its key, at the latest instant that anything landed by then tells of.

Of the few deals whose past was ever told otherwise, ``reported_versions`` holds what was told before, made by the very
same statements from what had been recorded by then. So the versions at an earlier instant are those of an edition as
of that instant. Where nothing was corrected, nothing of this is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

import polars as pl

from pipelines.warehouse.engines import Engine
from pipelines.warehouse.store import statement

Make = Callable[[str, Mapping[str, object]], None]

_TOLD: tuple[tuple[str, str, bool], ...] = (
    ("extract_loads", "reported_loads", False),
    ("opportunity_seen", "reported_ordered", False),
    ("opportunity_extracts", "reported_extracts", True),
    ("opportunity_absences", "reported_absences", True),
    ("opportunity_changes", "reported_changes", True),
    ("opportunity_openings", "reported_openings", False),
    ("opportunity_closings", "reported_closings", True),
    ("opportunity_events", "reported_events", True),
    ("opportunity_versions", "reported_told", True),
)
"""The statements that make versions, what each one's table is called here, and whether it asks for the as-of."""

_READ = {
    "opportunity_rows": "reported_rows",
    "opportunity_history": "reported_history",
    "opportunity_states": "reported_states",
    **{name: here for name, here, _ in _TOLD},
    "opportunity_seen": "reported_seen",
}

_NAMES = re.compile(rf"\b({'|'.join(_READ)})\b")

_SPANS = {"seen_versions": "reported_spans", "frozen_versions": "frozen_spans"}
"""What reads versions as they were told (``told_versions``), and the times in which that was otherwise than now."""

_COLUMNS = (
    "opportunity_id", "valid_from_at", "valid_to_at", "owner_id", "stage", "amount", "currency", "reporting_amount",
    "close_on", "forecast_category", "probability_rate", "is_closed", "is_won", "is_deleted",
)  # fmt: skip

_EMPTY = {"opportunity_id": pl.String, "recorded_from_at": pl.Datetime("us"), "recorded_to_at": pl.Datetime("us")}


def lay_reported(engine: Engine, money: Mapping[str, object]) -> None:
    """Tables ``version_corrections``, ``reported_spans`` and ``reported_versions``, and what reads them.

    ``seen_versions``: each instant as it was told at that instant. ``frozen_versions``: as it was told until somebody
    corrected it, for what is frozen. ``money``: the values of the statement of ``opportunity_versions``.
    """
    known = {"as_of_at": money["as_of_at"]}
    engine.make("version_corrections", statement("version_corrections"), known)
    engine.make("reported_spans", statement("reported_spans"))
    if not engine.frame("select count(*) as n from version_corrections").item():
        engine.make(
            "reported_versions",
            "select versions.*, spans.recorded_from_at, spans.recorded_to_at, spans.ended_by "
            "from opportunity_versions as versions inner join reported_spans as spans "
            "on versions.opportunity_id = spans.opportunity_id",
        )
        for view in _SPANS:
            engine.show(view, "select * from opportunity_versions")
        return
    for table in ("reported_rows", "reported_history", "reported_states"):
        engine.make(table, statement(table))
    for table, here, asks in _TOLD:
        values = money if table == "opportunity_versions" else known if asks else {}
        engine.make(here, _NAMES.sub(lambda found: _READ[found[0]], statement(table)), values)
        if table == "opportunity_seen":
            engine.make("reported_seen", statement("reported_seen"))
    engine.make("reported_versions", statement("reported_versions"))
    engine.show("frozen_spans", statement("frozen_spans"))
    for view, spans in _SPANS.items():
        engine.show(view, statement("told_versions").replace("told_spans", spans))


def versions_recorded(engine: Engine, recorded_at: datetime | None) -> pl.DataFrame:
    """``opportunity_versions`` in order, as they were told at an instant: half-open, the last one until 9999.

    ``recorded_at``: in UTC; None for now. A day after it is told of nothing: the state then known goes on.
    """
    columns = ", ".join(_COLUMNS)
    if recorded_at is None:
        return engine.frame(f"select {columns} from opportunity_versions order by opportunity_id, valid_from_at")
    return engine.frame(statement("versions_recorded"), {"recorded_at": recorded_at}).sort(
        "opportunity_id", "valid_from_at"
    )
