"""How the pipeline of a period moved: the statements behind ``pipeline_movement``, in their order.

The pipeline of a span is what is open, not deleted and due in the span's period. Every change along a deal's path is
one or more movements, in a fixed order (``movement_steps.sql`` states it); a change of the hierarchy above an owner
moves the deal like a change of owner. Outflows are negative, and start + Σ movements = end in every scope and span,
where both ends are counted from the states and not from the movements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipelines.policy import Policy


def lay_movement(
    make: Callable[[str, Mapping[str, object]], None], weeks: Mapping[str, object], policy: Policy
) -> None:
    """Make ``pipeline_movement`` and ``movement_deals``. ``weeks``: ``as_of_at``, and ``last_week`` of a period."""
    make("movement_spans", {**weeks, "period_count": policy.movement_periods})
    make("movement_path", {"no_decision": policy.no_decision_pattern})
    for table in ("owner_scopes", "movement_steps", "movement_stands", "pipeline_movement", "movement_deals"):
        make(table, {})
