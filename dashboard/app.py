"""The site map, the shared filters, and the one place where an error becomes two sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import streamlit as st

from dashboard import filters, shelf, theme, wording_reconcile
from dashboard.filters import Filters
from dashboard.language import say
from dashboard.shelf import Asked, Offered
from dashboard.views import (
    data,
    deal,
    edition,
    forecaster,
    forecasters,
    method,
    miss,
    outcomes,
    pipeline,
    reconcile,
    record,
    start,
    take,
    trust,
    value_added,
)
from dashboard.views.boundary import boundary
from pipelines.errors import TrustError
from pipelines.policy import METHOD_VERSION
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef

ASSETS = Path(__file__).with_name("assets")
ABOUT = say("Forecast Trust tells a company whether its sales forecast can be believed, and how it knows.")
SIMULATED = say(":orange-badge[:material/science: Simulated: no real person or deal]")


def main() -> None:
    st.set_page_config(
        page_title="Forecast Trust",
        page_icon=str(ASSETS / "icon.png"),
        layout="wide",
        initial_sidebar_state="collapsed",
        menu_items={"About": ABOUT},
    )
    st.html(f"<style>{theme.stylesheet(filters.is_dark())}</style>")
    st.logo(str(ASSETS / "icon.png"), size="medium")
    chosen: list[Asked] = []
    page = st.navigation(
        [
            _page(_trust, "Trust", "trust", chosen, default=True),
            _page(_of(forecasters.page), "Forecasters", "forecasters", chosen),
            _page(_of(forecaster.page), "One forecaster", "forecaster", chosen, hidden=True),
            _page(_of(deal.page), "One deal", "deal", chosen, hidden=True),
            _page(_of(pipeline.page), "Pipeline", "pipeline", chosen),
            _page(_of(miss.page), "Miss", "miss", chosen),
            _page(_of(outcomes.page), "Win / loss", "win-loss", chosen),
            _page(_of(value_added.page), "Value added", "value-added", chosen),
            _page(_of(reconcile.page), "Reconcile", "reconcile", chosen),
            _page(_record, "Record", "record", chosen),
            _page(_of(data.page), "Data", "data", chosen),
            _page(_of(start.page), "Bring data", "start", chosen),
            _page(_of(method.page), "Method", "method", chosen),
        ],
        position="top",
    )
    with boundary():
        workspace = Workspace.at()
        offered = shelf.on_offer(workspace)
        if offered.current_id is None or start.has_news(workspace):
            start.first_use(workspace, is_published=offered.current_id is not None)
            return
        asked = _ask(workspace, offered)
        if asked is None:
            return
        chosen.append(asked)
        page.run()
        _footer(asked.ref)


def _trust(asked: Asked) -> None:
    trust.page(asked.filters, asked.offered)


def _record(asked: Asked) -> None:
    record.page(asked.filters, asked.offered)


def _of(view: Callable[[Filters], None]) -> Callable[[Asked], None]:
    """A view that reads one edition and has no need of the shelf."""
    return lambda asked: view(asked.filters)


def _page(
    view: Callable[[Asked], None],
    title: str,
    url_path: str,
    chosen: list[Asked],
    *,
    default: bool = False,
    hidden: bool = False,
) -> st.Page:
    """A view becomes a page; it is called with what is asked, which is chosen after the site map is known."""
    return st.Page(
        lambda: view(chosen[0]),
        title=say(title),
        url_path=url_path,
        default=default,
        visibility="hidden" if hidden else "visible",
    )


def _ask(workspace: Workspace, shelved: Offered) -> Asked | None:
    """Draw the header and the shared filters, and return the edition and what is asked of it; None where the edition
    that the URL names is not there or cannot be read, which is said instead."""
    offered = shelved.editions
    asked_for = filters.asked_edition()
    header = st.container(horizontal=True, vertical_alignment="center", key="header")
    with header:
        title = st.container(width="stretch", key="whose", gap=None)
        edition_id = filters.choose_edition(offered, asked_for)
    if edition_id not in dict(offered):
        edition.not_here(edition_id, offered)
        return None
    try:
        ref = shelf.edition(workspace, edition_id)
    except TrustError as error:
        if edition_id == offered[0][0]:
            raise
        edition.unreadable(error, offered)
        return None
    with header:
        asked = replace(filters.choose(edition_id, shelf.choices(ref)), judged_on=shelved.judged_on(ref))
        take.offer(asked)
    with title:
        simulated = f" {SIMULATED}" if ref.is_simulated else ""
        st.markdown(f"**{theme.escape(ref.company_name or 'Forecast Trust')}**{simulated}")
    if edition_id != offered[0][0]:
        edition.banner(ref, offered[0][1])
    return Asked(ref, asked, shelved)


def _footer(ref: EditionRef) -> None:
    parts = [
        say("Edition {id}", id=ref.edition_id),
        say("as of {instant}", instant=theme.instant(ref.as_of_at)),
        say("published {instant}", instant=theme.instant(ref.published_at)),
        say("method {version}", version=ref.method_version),
        wording_reconcile.actual_source(ref.actual_source),
    ]
    if ref.is_simulated:
        parts.append(say("simulated data"))
    if ref.method_version != METHOD_VERSION:
        parts.append(say("made by another version of the method (this program has {version})", version=METHOD_VERSION))
    with st.container(key="footer"):
        st.divider()
        st.caption(theme.escape(" · ".join(parts)))


if __name__ == "__main__":
    main()
