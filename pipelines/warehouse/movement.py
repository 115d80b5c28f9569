"""How the pipeline of a period moved: the statements behind ``pipeline_movement``, in their order.

The pipeline of a span is what is open, not deleted and due in the span's period. Every change along a deal's path is
one or more movements, in a fixed order (``movement_steps.sql`` states it); a change of the hierarchy above an owner
moves the deal like a change of owner. Outflows are negative, and start + Σ movements = end in every scope and span,
where both ends are counted from the states and not from the movements.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.policy import Policy
from pipelines.warehouse.engines import Engine
from pipelines.warehouse.store import statement

_STATEMENTS = (
    "owner_scopes", "movement_steps", "movement_stood", "movement_moved", "pipeline_movement",
)  # fmt: skip


def lay_movement(engine: Engine, weeks: Mapping[str, object], policy: Policy) -> None:
    """Make ``pipeline_movement``, ``owner_scopes`` and ``movement_deals``.

    ``weeks``: ``as_of_at``, and ``last_week`` of a period.
    """

    def make(table: str, params: Mapping[str, object]) -> None:
        engine.make(table, statement(table), params)

    make("movement_spans", {**weeks, "period_count": policy.movement_periods})
    make("movement_looks", {})
    # Said as a value: a planner that has to guess how many versions a subquery lets through guesses very few.
    first_at = engine.frame("select min(from_at) as first_at from movement_spans").item()
    make("movement_path", {"no_decision": policy.no_decision_pattern, "first_at": first_at})
    for table in _STATEMENTS:
        make(table, {})
    # Read once, when it is published: as a table it would be written twice.
    engine.show("movement_deals", statement("movement_deals"))
