"""The chance of reaching a line that a reader types, from what the edition published."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from dashboard import shelf
from dashboard.answers_landing import METHOD
from dashboard.filters import Filters
from pipelines.engine.landing_tables import probability_of_reaching
from pipelines.engine.outlook import Line, misses
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef


def typed_line(filters: Filters, amount: Decimal) -> Line | None:
    """The chance of landing at or above ``amount``, and how many of the twenty outcomes lie below it.

    None where the edition issues no range for the scope. Both come from one distribution, the published quantiles of
    the combined method: no draw is made again, so an old edition answers as it would have answered then.
    """
    return _typed_line(shelf.edition(Workspace.at(), filters.edition_id), filters.scope, amount)


@st.cache_resource(max_entries=1024, show_spinner=False, hash_funcs=shelf.KEYS)
def _typed_line(ref: EditionRef, scope: str, amount: Decimal) -> Line | None:
    where = {"period_start_on": ref.open_period_start_on, "scope": scope}
    quantiles = editions.read(ref, "landing_quantiles", where={**where, "method": METHOD})
    dots = editions.read(ref, "landing_dots", where=where).sort("dot")["amount"].to_list()
    reach = probability_of_reaching(quantiles.cast({"amount": float}), float(amount))
    return None if reach is None or not dots else Line("typed", amount, misses(dots, amount), reach)
