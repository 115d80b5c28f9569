"""Small tables: text is text, figures stand to the right, and nobody's name is run as a script."""

from __future__ import annotations

import pytest

from dashboard.tables import Column, table


def test_cells_are_text_whatever_they_hold() -> None:
    html = table((Column("Who"),), [("<script>alert(1)</script>",)], caption='a "b"')
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert 'aria-label="a &quot;b&quot;"' in html


def test_headings_and_rows_are_header_cells_and_figures_stand_right() -> None:
    html = table((Column("Who"), Column("Rows", is_number=True)), [("Ann", "12"), ("Bo", None)], caption="Rows")
    assert '<th scope="col">Who</th><th scope="col" class="number">Rows</th>' in html
    assert '<th scope="row">Ann</th><td class="number" data-label="Rows">12</td>' in html
    assert '<td class="number" data-label="Rows">—</td>' in html


def test_wide_tables_become_lists_on_a_phone() -> None:
    assert "ft-stacks" not in table([Column("a")] * 2, [], caption="c")
    assert "ft-stacks" in table([Column("a")] * 3, [], caption="c")


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        table((Column("a"), Column("b")), [("only one",)], caption="c")
