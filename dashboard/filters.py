"""Shared filters: three widgets at most, one frozen value, kept in the URL so that a view is a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import streamlit as st

from dashboard import theme
from dashboard.language import say
from pipelines.contracts import CALL_CATEGORIES, LAYERS
from pipelines.policy import COMPANY_SCOPE

LAYER_NAMES = {
    "rep": say("Reps"),
    "manager": say("Managers"),
    "executive": say("Executives"),
    "finance": say("Finance"),
}
CATEGORY_NAMES = {"commit": say("commit"), "most_likely": say("most likely"), "best_case": say("best case")}

EDITION = "edition"
_KEPT = "edition-kept"
_CHOSEN = "edition-chosen"

_WIDTH = 210

T = TypeVar("T")


@dataclass(frozen=True)
class Filters:
    """What a page is asked about: hashable, so that it keys every cached answer.

    ``scope`` is ``company`` or a person's id; ``layer`` and ``category`` say whose calls and which kind.
    ``judged_on``: the day on which the edition's data are fresh or stale; None stands for its own as-of.
    """

    edition_id: str
    scope: str = COMPANY_SCOPE
    layer: str = "rep"
    category: str = "commit"
    judged_on: date | None = None

    @property
    def calls(self) -> tuple[str, str]:
        return (self.layer, self.category)


@dataclass(frozen=True)
class Choices:
    """What an edition lets a reader choose. ``scopes`` as (scope, label), the company first; ``calls`` as
    (layer, category), empty where nobody has called."""

    scopes: tuple[tuple[str, str], ...]
    calls: tuple[tuple[str, str], ...]


def calls_label(layer: str, category: str) -> str:
    """``Reps: commit``."""
    return f"{LAYER_NAMES[layer]}: {CATEGORY_NAMES[category]}"


def calls_in_order(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Distinct (layer, category) from the field upwards, commit first: the order they are offered in."""
    known = {pair for pair in pairs if pair[0] in LAYERS and pair[1] in CALL_CATEGORIES}
    return tuple(sorted(known, key=lambda pair: (LAYERS.index(pair[0]), CALL_CATEGORIES.index(pair[1]))))


def unique_labels(named: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """(id, label) with the id added where two share a label: the URL carries the label, and a link must mean one."""
    counts: dict[str, int] = {}
    for _, label in named:
        counts[label] = counts.get(label, 0) + 1
    return tuple((key, f"{label} ({key})" if counts[label] > 1 else label) for key, label in named)


def unknown_values(asked: Mapping[str, str], offered: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each value of the URL that this edition does not offer."""
    names = {"scope": say("Scope"), "calls": say("Calls")}
    return [
        say(
            "{what} “{asked}” is not in this edition; {shown} is shown instead.",
            what=names[key],
            asked=asked[key],
            shown=labels[0],
        )
        for key, labels in offered.items()
        if key in asked and labels and asked[key] not in labels
    ]


def asked_edition() -> str | None:
    """The id of the edition in the URL; once asked for, it stays there from page to page until it is let go.

    An id is no widget's value: a link must name one edition whatever it is called on the screen.
    """
    asked = st.query_params.get(EDITION)
    if asked is not None:
        st.session_state[_KEPT] = asked
        return asked
    kept: str | None = st.session_state.get(_KEPT)
    if kept is not None:
        st.query_params[EDITION] = kept
    return kept


def ask_edition(edition_id: str | None) -> None:
    """Read another edition from the next run on; None: the current one, whichever that is."""
    st.session_state[_KEPT] = edition_id
    if edition_id is not None:
        st.query_params[EDITION] = edition_id
    elif EDITION in st.query_params:
        del st.query_params[EDITION]


def choose_edition(editions: Sequence[tuple[str, str]], asked: str | None) -> str:
    """The edition to read: the current one (the first), unless another is asked for; drawn where there are two."""
    names = dict(editions)
    current = editions[0][0]
    read = current if asked is None else asked
    if len(editions) == 1 or read not in names:
        return read
    st.session_state[_CHOSEN] = read
    st.selectbox(
        say("As of"),
        list(names),
        key=_CHOSEN,
        format_func=lambda name: names[name],
        on_change=_edition_chosen,
        args=(current,),
        width=_WIDTH,
        label_visibility="collapsed",
    )
    return read


def _edition_chosen(current: str) -> None:
    chosen = st.session_state[_CHOSEN]
    ask_edition(None if chosen == current else chosen)


def choose(edition_id: str, choices: Choices) -> Filters:
    """Draw the scope and calls widgets (each only where there is a choice) and return what they say."""
    calls = tuple((pair, calls_label(*pair)) for pair in choices.calls)
    _say_unknown({"scope": [label for _, label in choices.scopes], "calls": [label for _, label in calls]})
    scope = _pick("scope", say("Whose number"), choices.scopes) if len(choices.scopes) > 1 else COMPANY_SCOPE
    layer, category = ("rep", "commit")
    if len(calls) == 1:
        layer, category = calls[0][0]
    elif calls:
        layer, category = _pick("calls", say("Which calls"), calls)
    return Filters(edition_id=edition_id, scope=scope, layer=layer, category=category)


def is_dark() -> bool:
    """Whether this reader sees the dark theme, for the colours of figures."""
    return st.context.theme.type == "dark"


def _pick(key: str, label: str, offered: Sequence[tuple[T, str]]) -> T:
    ids = {text: identity for identity, text in offered}
    chosen = st.selectbox(label, list(ids), key=key, bind="query-params", width=_WIDTH, label_visibility="collapsed")
    return ids[chosen]


def _say_unknown(offered: Mapping[str, Sequence[str]]) -> None:
    asked = {key: st.query_params[key] for key in offered if key in st.query_params}
    for sentence in unknown_values(asked, offered):
        st.warning(theme.escape(sentence))
