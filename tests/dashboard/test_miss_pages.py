"""The Miss and Reconcile pages: what they say, draw and offer, and each designed state."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import answers_miss, shelf, theme, wording, wording_miss, wording_reconcile
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import Filters
from pipelines import runs
from pipelines.engine.attribution import CAUSES
from pipelines.engine.blame import PARTS
from pipelines.engine.miss import CUTS, OTHERS
from pipelines.progress import Silent
from pipelines.settings import Workspace
from tests.dashboard import editions
from tests.dashboard.test_app import words
from tests.warehouse_help import land_all

BRIDGE: dict[str, tuple[Decimal | None, int | None]] = {
    **dict.fromkeys(CAUSES, (Decimal(0), 0)),
    "judgement": (Decimal(-300), None),
    "lost": (Decimal(-50), 2),
    "no_decision": (Decimal(-900), 4),
    "left_out": (Decimal(250), 3),
}


def spaced(text: str) -> str:
    return wording.plain(text).replace("\u00a0", " ")


# Words


@pytest.mark.parametrize(
    ("miss", "call", "said"),
    [
        (-3_740_000, 15_000_000, "Q3 2026 landed $3.74M (25 %) below the call"),
        (120_000, 1_000_000, "Q3 2026 landed $120K (12 %) above the call"),
        (0, 1_000_000, "Q3 2026 landed exactly as called"),
        (500, 0, "Q3 2026 landed $500 above the call"),
    ],
)
def test_the_title_is_the_finding(miss: int, call: int, said: str) -> None:
    title = wording_miss.miss_title("Q3 2026", Decimal(miss), Decimal(call), "USD")
    assert spaced(title) == said
    assert len(title) <= wording.TITLE_LENGTH


def test_the_largest_causes_come_first_and_judgement_has_its_own_sentence() -> None:
    said = spaced(wording_miss.largest_causes(BRIDGE, Decimal(-1000), "USD"))
    assert said == "Taken from the call: no decision −$900 and lost −$50. Against it: left out +$250."
    risen = spaced(wording_miss.largest_causes(BRIDGE, Decimal(100), "USD"))
    assert risen.startswith("Added to the call: left out +$250.")
    nothing = dict.fromkeys(CAUSES, (Decimal(0), 0))
    assert "won at its amount" in wording_miss.largest_causes(nothing, Decimal(0), "USD")


@pytest.mark.parametrize(
    ("judgement", "said"),
    [(-300, "counted on $300 beyond them"), (300, "cut $300 from them"), (0, "added nothing")],
)
def test_what_was_called_beyond_the_deals(judgement: int, said: str) -> None:
    for basis, named in (("category", "marked commit"), ("probability", "at their probability"), ("none", "alone")):
        sentence = spaced(
            wording_miss.beyond_the_deals(
                Decimal(judgement),
                Decimal(250),
                rollup=Decimal(700),
                category="commit",
                noun="quarter",
                basis=basis,
                currency="USD",
            )
        )
        assert said in sentence
        assert named in sentence
        assert "$250 that was not in the call came" in sentence


def part(name: str, amount: int, direction: str | None = "inside", usual: float | None = -0.1) -> dict[str, Any]:
    known = direction is not None
    return {
        "part": name,
        "amount": Decimal(amount),
        "usual_rate": usual if known else None,
        "lower": Decimal(-20) if known else None,
        "upper": Decimal(-5) if known else None,
        "direction": direction,
        "status": "ok" if known else "not_enough_history",
    }


def test_parts_are_held_against_what_is_usual() -> None:
    rows = [
        part("deals", -50, "below"),
        part("unseen", 9, "below", 0.3),
        part("timing", -6),
        part("currency", 0, usual=0),
    ]
    assert wording_miss.blame_title(rows) == "Out of the ordinary: deals and uncalled business"
    told = wording_miss.blame_rows(rows, "USD")
    assert [(row[0], row[3]) for row in told] == [
        ("Deals lost, shrunk or grown", "took more"),
        ("Business that was not called", "gave less"),
        ("Timing: pushed out, pulled in", "as usual"),
    ]
    assert told[0][2] == "−$20 to −$5"
    assert wording_miss.blame_title(rows[2:3]) == "Every part is within its usual range"
    young = [part("deals", -50, None)]
    assert wording_miss.blame_title(young) == "Too few earlier periods to say what is usual"
    assert wording_miss.blame_rows(young, "USD")[0][2:] == (None, "too few earlier periods")
    everything = [part(name, -1, "above") for name in PARTS]
    assert len(wording_miss.blame_title(everything)) <= wording.TITLE_LENGTH


LUCK = {
    "status": "ok",
    "direction": "below",
    "won_amount": Decimal(500),
    "expected_amount": Decimal(700),
    "lower": Decimal(600),
    "upper": Decimal(800),
}


def test_luck_is_said_with_its_range_and_never_without_evidence() -> None:
    def told(**change: object) -> str:
        return spaced(wording_miss.luck_sentence(LUCK | change, 0.9, "USD"))

    assert told() == (
        "Chance alone does not explain it. Of the called deals, their own probabilities promised $700, $500 of them "
        "was won: less than the $600–$800 that their probabilities allow 9 times in 10."
    )
    assert "more than" in told(direction="above")
    assert told(direction="inside").startswith("It may be luck.")
    assert "carry no probabilities" in told(status="no_probability")
    assert "0 or 1" in told(status="certain")
    assert "too few other periods" in told(status="not_enough_history")
    assert "no probabilities" in wording_miss.luck_sentence(None, 0.9, "USD")


def test_names_exist_for_every_cause_part_cut_and_kind() -> None:
    assert set(wording_miss.CAUSES) == set(CAUSES)
    assert set(wording_miss.PARTS) == set(wording_miss.SHORT_PARTS) == set(PARTS)
    assert set(wording_miss.CUT_NAMES) == set(CUTS)


def test_shares_name_nobody_a_culprit() -> None:
    rows = [
        {"name": "Ann", "forecaster_id": "a", "share_rate": 0.6},
        {"name": None, "forecaster_id": "b", "share_rate": 0.4},
    ]
    said = spaced(wording_miss.shares_sentence(rows, "rep"))
    assert "Ann (60 %) and b (40 %)" in said
    assert "without any lean" in said
    assert "in reps' joint error" in said
    assert "in finance's joint error" in wording_miss.shares_sentence(rows, "finance")
    assert wording_miss.shares_sentence(rows[:1], "rep") == ""
    small = [row | {"share_rate": 0.004} for row in rows]
    assert "nobody's error makes as much as 1 %" in spaced(wording_miss.shares_sentence(small, "rep"))


def test_a_cut_is_headed_by_a_part_that_can_be_asked() -> None:
    """What was put together because it is small is no part of the company that anybody leads."""
    rows = [
        {"value": "North", "change_amount": Decimal(-5)},
        {"value": OTHERS, "change_amount": Decimal(-900)},
        {"value": None, "change_amount": Decimal(3)},
    ]
    assert wording_miss.cut_title("team", rows, "USD") == "Team: North landed $5 below its called deals"
    assert wording_miss.widest_label(12, 4_500, "team") == "The 12 widest changes of 4,500 by team; all of them below."


@pytest.mark.parametrize(
    ("difference", "label", "said"),
    [
        (4_720_000, None, "Closed won stands $4.72M above bookings"),
        (-5, "Q3 2026", "Q3 2026: closed won stands $5 below bookings"),
        (0, "Q3 2026", "Q3 2026: closed won and bookings agree to the cent"),
    ],
)
def test_the_tie_out_is_a_finding(difference: int, label: str | None, said: str) -> None:
    assert spaced(wording_reconcile.tie_title(label, Decimal(difference), "USD")) == said


def test_no_sentence_accuses() -> None:
    source = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (wording_miss, wording_reconcile))
    assert not re.search(r"\b(liar|sandbag|fault|cheat|lazy|guilty)", source, re.IGNORECASE)


# The chart


STEPS = [
    Step("call", Decimal(1000), "call"),
    Step("lost", Decimal(-400)),
    Step("left out", Decimal(150)),
    Step("landed", Decimal(750), "total"),
]


@pytest.mark.parametrize("dark", [False, True])
def test_bars_hang_where_the_last_one_ended(dark: bool) -> None:
    figure = waterfall(steps=STEPS, currency="USD", dark=dark)
    bars = {trace.name: (trace.base[0], trace.x[0], trace.marker.color) for trace in figure.data}
    assert bars["call"][:2] == (0, 1000)
    assert bars["loss"][:2] == (1000, -400)
    assert bars["gain"][:2] == (600, 150)
    assert bars["total"][:2] == (0, 750)
    colours = theme.palette(dark)
    assert (bars["loss"][2], bars["gain"][2]) == (colours.high, colours.low)
    assert [note.text for note in figure.layout.annotations] == ["$1.00K", "−$400", "+$150", "$750"]
    assert list(figure.layout.yaxis.ticktext) == ["call", "lost", "left out", "landed"]


def test_a_bridge_below_zero_and_one_of_nothing_are_drawn() -> None:
    below = waterfall(
        steps=[Step("a", Decimal(-5)), Step("difference", Decimal(-5), "total")], currency="XXX", dark=False
    )
    assert below.layout.xaxis.range[0] < -5
    flat = waterfall(
        steps=[Step("call", Decimal(0), "call"), Step("landed", Decimal(0), "total")], currency="USD", dark=False
    )
    assert all(math.isfinite(end) for end in flat.layout.xaxis.range)


# The pages


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated company, through the same door as a customer's files."""
    workspace = Workspace(tmp_path_factory.mktemp("miss") / "workspace")
    runs.demo(workspace, Silent(), reps=10, quarters=6, seed=4)
    return workspace.root


def _one_page(name: str, layer: str = "rep", scope: str = "company", category: str = "commit") -> None:
    from importlib import import_module

    from dashboard import shelf
    from dashboard.filters import Filters
    from pipelines.settings import Workspace

    edition = shelf.current_id(Workspace.at())
    import_module(f"dashboard.views.{name}").page(Filters(str(edition), layer=layer, scope=scope, category=category))


def drawn(
    monkeypatch: pytest.MonkeyPatch, root: Path, name: str, query: dict[str, str] | None = None, **asked: str
) -> AppTest:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(root))
    at = AppTest.from_function(_one_page, kwargs={"name": name, **asked}, default_timeout=60)
    for key, value in (query or {}).items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    assert not at.error
    return at


def test_the_miss_page_tells_the_latest_closed_period_and_any_other(
    monkeypatch: pytest.MonkeyPatch, company: Path
) -> None:
    at = drawn(monkeypatch, company, "miss")
    assert at.title[0].value.startswith("Q3 2026 landed")
    assert "Behind the call stood" in words(at)
    assert "Reps' commit calls of week 3" in words(at).replace("\\", "")
    earlier = drawn(monkeypatch, company, "miss", {"period": "Q2 2026"})
    assert earlier.title[0].value.startswith("Q2 2026 landed")
    unknown = drawn(monkeypatch, company, "miss", {"period": "Q9 1999"})
    assert "Q9 1999" in unknown.warning[0].value
    assert unknown.title[0].value.startswith("Q3 2026")


def test_what_the_page_shows_adds_up_for_every_layer(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(company))
    edition = str(shelf.current_id(Workspace.at()))
    for layer in ("rep", "manager", "executive"):
        answer = answers_miss.miss(Filters(edition, layer=layer))
        assert answer.status == "ok"
        amounts = [amount for amount, _ in answer.bridge.values() if amount is not None]
        assert len(amounts) == len(CAUSES)
        assert answer.call_amount is not None
        assert answer.call_amount + sum(amounts) == answer.actual_amount
        assert answer.parts["amount"].sum() == answer.miss_amount
        drawn(monkeypatch, company, "miss", layer=layer)


def test_a_managers_page_has_her_own_bridge_and_no_cuts(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(company))
    ref = shelf.edition(Workspace.at(), str(shelf.current_id(Workspace.at())))
    (manager, name), *_ = [pair for pair in shelf.choices(ref).scopes if pair[0] != "company"]
    at = drawn(monkeypatch, company, "miss", layer="manager", scope=manager)
    assert name in words(at) or "made no call" in words(at)
    assert not [box for box in at.selectbox if box.label == "Cut by"]
    nobody = drawn(monkeypatch, company, "miss", layer="finance", scope=manager)
    assert "Finance made no call for" in words(nobody)


def test_another_kind_of_call_is_bridged_from_commit_and_says_so(
    monkeypatch: pytest.MonkeyPatch, company: Path
) -> None:
    at = drawn(monkeypatch, company, "miss", category="best_case")
    assert "starts from commit calls" in words(at)


@pytest.mark.parametrize("cut", ["lead_source", "close_date", "origin"])
def test_every_cut_can_be_chosen(monkeypatch: pytest.MonkeyPatch, company: Path, cut: str) -> None:
    at = drawn(monkeypatch, company, "miss")
    at.selectbox(key="cut").select(cut).run()
    assert not at.exception
    assert any(head.value.startswith(wording_miss.CUT_NAMES[cut]) for head in at.subheader)


def test_the_reconcile_page_ties(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    at = drawn(monkeypatch, company, "reconcile")
    assert at.title[0].value.startswith("Closed won stands")
    assert "adds up to both ledgers" in words(at)
    assert len(at.dataframe[0].value) > 10
    one = drawn(monkeypatch, company, "reconcile", {"booked": "Q2 2026"})
    assert one.title[0].value.startswith("Q2 2026")
    answer = answers_miss.reconcile(Filters(str(shelf.current_id(Workspace.at()))))
    assert answer.ties
    assert answer.kinds["difference_amount"].sum() == answer.difference_amount
    assert answer.kinds["record_count"].sum() == answer.rows.height + answer.tied_count
    assert 0 < answer.tied_count == answer.kinds.filter(pl.col("break_kind") == "matched")["record_count"].sum()
    assert "matched" not in answer.rows["break_kind"].to_list()
    assert (
        answers_miss.every_row(Filters(str(shelf.current_id(Workspace.at())))).height
        == len(answer.rows) + answer.tied_count
    )
    of_period = answers_miss.every_row(Filters(str(shelf.current_id(Workspace.at()))), "Q2 2026")
    assert of_period["period"].unique().to_list() == ["Q2 2026"]
    ages = [name for _, name in answers_miss.AGES]
    aged = answer.kinds.filter(~answer.kinds["break_kind"].is_in(["matched"]))
    assert sum(aged[name].sum() for name in ages) == aged["record_count"].sum()


def test_a_ledger_that_does_not_add_up_is_never_said_to(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(company))
    answer = answers_miss.reconcile(Filters(str(shelf.current_id(Workspace.at()))))
    said = wording_reconcile.tie_sentence(
        crm=answer.crm_amount,
        booked=answer.booked_amount,
        tied=1,
        won=2,
        ties=replace(answer, ties=False).ties,
        unvalued=3,
        currency="USD",
    )
    assert "adds up" not in said
    assert "3 rows without an amount" in said


@pytest.mark.parametrize(
    ("variant", "said"),
    [("records", "no deals have landed"), ("no_calls", "but no calls"), ("full", "not written down")],
)
def test_without_deals_calls_or_history_the_page_says_what_would_bring_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variant: str, said: str
) -> None:
    root = editions.workspace_of(tmp_path, variant).root
    at = drawn(monkeypatch, root, "miss")
    assert at.title[0].value == "Where did the miss come from?"
    assert said in words(at)
    books = drawn(monkeypatch, root, "reconcile")
    assert "No bookings have landed" in words(books)
    assert "booking_id" in words(books).replace("\\", "")


def test_books_without_any_deal_are_held_against_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One booking, no deal: the page stands, and the one row is not won."""
    workspace = Workspace(tmp_path / "workspace")
    land_all(
        workspace, {"bookings": [{"booking_id": "B1", "booked_on": "2026-09-12", "amount": 5, "account_name": "=A()"}]}
    )
    runs.publish(workspace, Silent())
    at = drawn(monkeypatch, workspace.root, "reconcile")
    assert at.title[0].value == r"Closed won stands 5 below bookings"
    assert answers_miss.reconcile(Filters(str(shelf.current_id(workspace)))).first_booked_on == date(2026, 9, 12)
