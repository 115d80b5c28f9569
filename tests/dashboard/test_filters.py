"""Filters are one frozen value; the widgets say it, the URL keeps it, and nonsense in the URL is named."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import filters
from dashboard.filters import Choices, Filters


def test_filters_are_hashable_and_frozen() -> None:
    chosen = Filters("edition", "company", "rep", "commit")
    assert {chosen: 1}[Filters("edition")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        chosen.scope = "p1"  # type: ignore[misc]


def test_calls_are_offered_from_the_field_upwards() -> None:
    pairs = [("executive", "commit"), ("rep", "best_case"), ("rep", "commit"), ("rep", "commit"), ("robot", "commit")]
    assert filters.calls_in_order(pairs) == (("rep", "commit"), ("rep", "best_case"), ("executive", "commit"))


def test_two_people_of_one_name_get_labels_that_differ() -> None:
    labels = filters.unique_labels([("p1", "Ann Lee"), ("p2", "Ann Lee"), ("p3", "Bo")])
    assert labels == (("p1", "Ann Lee (p1)"), ("p2", "Ann Lee (p2)"), ("p3", "Bo"))


def test_unknown_values_are_named_and_known_ones_are_not() -> None:
    offered = {"scope": ["Whole company", "Ann"], "calls": []}
    assert filters.unknown_values({"scope": "Ann", "calls": "x"}, offered) == []
    (sentence,) = filters.unknown_values({"scope": "Zed"}, offered)
    assert sentence == "Scope “Zed” is not in this edition; Whole company is shown instead."


def _page() -> None:
    import streamlit as st

    from dashboard import filters
    from dashboard.filters import Choices

    edition = filters.choose_edition((("e2", "9 Nov 2026"), ("e1", "2 Nov 2026")), filters.asked_edition())
    chosen = filters.choose(
        edition,
        Choices(
            scopes=(("company", "Whole company"), ("m1", "Ann Lee")),
            calls=(("rep", "commit"), ("manager", "commit")),
        ),
    )
    st.text(repr(chosen))


def test_widgets_give_the_defaults_first() -> None:
    at = AppTest.from_function(_page).run()
    assert at.text[0].value == repr(Filters("e2", "company", "rep", "commit"))
    assert not at.warning


def test_a_choice_is_what_comes_back() -> None:
    at = AppTest.from_function(_page).run()
    at.selectbox(key="scope").select("Ann Lee")
    at.selectbox(key="calls").select("Managers: commit").run()
    assert at.text[0].value == repr(Filters("e2", "m1", "manager", "commit"))


def test_the_url_chooses() -> None:
    at = AppTest.from_function(_page)
    at.query_params["scope"] = "Ann Lee"
    at.query_params["edition"] = "e1"
    at.run()
    assert at.text[0].value == repr(Filters("e1", "m1", "rep", "commit"))
    assert not at.warning


def test_an_edition_once_asked_for_stays_in_the_url_and_can_be_let_go() -> None:
    at = AppTest.from_function(_page)
    at.query_params["edition"] = "e1"
    at.run()
    del at.query_params["edition"]  # as the site's navigation does, which keeps only what widgets are bound to
    at.run()
    assert at.text[0].value == repr(Filters("e1"))
    assert at.query_params["edition"] in ("e1", ["e1"])
    at.selectbox(key="edition-chosen").select("e2").run()
    assert at.text[0].value == repr(Filters("e2"))
    assert "edition" not in at.query_params


def test_nonsense_in_the_url_falls_back_and_says_so() -> None:
    at = AppTest.from_function(_page)
    at.query_params["scope"] = "Nobody"
    at.run()
    assert at.text[0].value == repr(Filters("e2"))
    assert "Nobody" in at.warning[0].value
    assert not at.exception


def test_without_calls_or_people_nothing_is_drawn() -> None:
    def page() -> None:
        import streamlit as st

        from dashboard import filters
        from dashboard.filters import Choices

        st.text(repr(filters.choose("e", Choices(scopes=(("company", "Whole company"),), calls=()))))

    at = AppTest.from_function(page).run()
    assert at.text[0].value == repr(Filters("e"))
    assert not at.selectbox


def test_choices_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Choices((), ()).calls = (("rep", "commit"),)  # type: ignore[misc]
