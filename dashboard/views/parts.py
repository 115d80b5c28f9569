"""What several pages share: a chart with its finding, and the way from a number to how it is made."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from dashboard import definitions, tables, theme, wording
from dashboard.language import say, told
from dashboard.tables import Column

_SEAM = re.compile(r"(?<=[a-z])(?=[A-Z])")


HOW_COMPUTED = say("How computed")


def how_computed(*sources: Callable[..., object], label: str = HOW_COMPUTED) -> None:
    """A popover with the definitions, read from the code that computes the numbers beside it."""
    with st.popover(label, icon=":material/function:", type="tertiary"):
        st.markdown(_defined(sources))


@cache
def _defined(sources: tuple[Callable[..., object], ...]) -> str:
    """The definitions one below the other, each under what the Method page calls it. Code does not change in a run."""
    documented = ((source, inspect.getdoc(source) or "") for source in sources)
    return "\n\n".join(
        f"**{theme.escape(_heading(source, text))}**\n\n{definitions.markdown(text)}" for source, text in documented
    )


def _heading(source: Callable[..., object], documented: str) -> str:
    """What the Method page calls it, else the bold words its definition opens with."""
    path = f"{source.__module__}:{source.__qualname__}"
    known = {entry: heading for _, entries in definitions.SECTIONS for heading, entry in entries}
    title = documented.partition("**")[2].partition("**")[0].rstrip(".") if documented.startswith("**") else ""
    # A published table is called by its rows: ``MissDeals`` are miss deals.
    return say(known.get(path, "")) or title or _SEAM.sub(" ", source.__qualname__).replace("_", " ").capitalize()


def prose(text: str) -> str:
    """A sentence of an error in the language of the reader, with what is between backticks shown as code."""
    said = told(text)
    parts = said.split("`")
    if len(parts) % 2 == 0:
        return theme.escape(said)
    return "".join(f"`{part}`" if place % 2 else theme.escape(part) for place, part in enumerate(parts))


def said(sentence: str) -> None:
    """A sentence of wording, bold where it is marked."""
    st.markdown(wording.markdown(sentence))


def listed(sentences: Iterable[str]) -> None:
    """Sentences of wording as a list."""
    st.markdown("\n".join(f"- {wording.markdown(sentence)}" for sentence in sentences))


def finding(title: str, figure: go.Figure, *, alt: str, key: str, caption: str, nested: bool = False) -> None:
    """A chart under its finding; the caption says what its marks mean, so that no legend is needed.

    ``nested``: it stands below a heading of the page, whose levels a reader who hears them steps down one by one.
    """
    (st.subheader if nested else st.header)(theme.escape(title), anchor=False)
    st.caption(theme.escape(caption))
    st.plotly_chart(figure, key=key, alt=alt, theme=None, config=theme.CHART_CONFIG)


def choose_period(labels: list[str], *, key: str) -> str:
    """A period by its label, in the URL under ``key``; the first one unless another is asked for."""
    asked = st.query_params.get(key)
    if asked is not None and asked not in labels:
        st.warning(
            theme.escape(
                say(
                    "Period “{asked}” has nothing to show here; {shown} is shown instead.", asked=asked, shown=labels[0]
                )
            )
        )
    return str(
        st.selectbox(say("Period"), labels, key=key, bind="query-params", width=210, label_visibility="collapsed")
    )


def in_full(label: str, columns: Sequence[Column], rows: Sequence[Sequence[str | None]]) -> None:
    """The rows behind a chart, to be opened below it."""
    with st.expander(label):
        st.html(tables.table(columns, rows, caption=label))


def as_file(label: str, rows: Callable[[], pl.DataFrame], *, file_name: str, key: str) -> None:
    """The rows behind a chart as a file, written out when it is asked for: they are too many to stand on the page."""
    st.download_button(
        label,
        data=lambda: rows().write_csv().encode(),
        file_name=f"{file_name}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        key=key,
    )


def open_pipeline() -> None:
    """A link to the open deals that a landing is made of."""
    st.page_link(page_at("pipeline", "Pipeline"), label=say("Every open deal"), icon=":material/list:")


def bring_data() -> None:
    """The way out of a page that lacks data: where they are brought."""
    st.page_link(page_at("start", "Bring data"), label=BRING, icon=":material/upload_file:")


BRING = say("Bring a file")


def page_at(url_path: str, title: str) -> st.Page:
    """A page of the site map by its address, for a link; the shared filters stay in the URL by themselves."""
    return st.Page(lambda: None, title=say(title), url_path=url_path)


FORECASTER = "forecaster"


def chosen_forecaster() -> str | None:
    """The forecaster's id in the URL."""
    return st.query_params.get(FORECASTER)


DEAL = "deal"


def chosen_deal() -> str | None:
    """The deal's id in the URL."""
    return st.query_params.get(DEAL)


def open_deal(opportunity_id: str, name: str) -> None:
    """A link to one deal's page."""
    st.page_link(
        page_at(DEAL, "One deal"),
        label=theme.escape(name),
        icon=":material/handshake:",
        query_params={DEAL: opportunity_id},
    )


def choose_deal(deals: list[tuple[str, str]], *, key: str) -> None:
    """A box to find a deal by name among ``(id, name)``, or to type the id of another; it opens the deal's page.
    Nothing where there is none."""
    names = dict(deals)
    if not names:
        return
    found = st.selectbox(
        say("One deal's page"),
        list(names),
        index=None,
        format_func=lambda deal: names.get(deal, deal),
        placeholder=say("Open a deal: choose it, or type its id"),
        accept_new_options=True,
        key=key,
        width=420,
    )
    if found is not None:
        st.switch_page(page_at(DEAL, "One deal"), query_params={DEAL: found})


def choose_forecaster(people: list[tuple[str, str]]) -> None:
    """A box to find a person by name; choosing one opens that person's own page."""
    names = dict(people)
    asked = chosen_forecaster()
    found = st.selectbox(
        say("One forecaster's page"),
        list(names),
        index=list(names).index(asked) if asked in names else None,
        format_func=lambda person: names[person],
        placeholder=say("Find a forecaster"),
        width=280,
    )
    if found is not None and found != asked:
        st.switch_page(page_at(FORECASTER, "One forecaster"), query_params={FORECASTER: found})
