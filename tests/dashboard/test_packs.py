"""Board paper and QBR deck: the same figures as the pages to the cent, and files that a reader can use and search."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
import streamlit as st
from pptx import Presentation
from pptx.chart.chart import Chart

from dashboard import answers, shelf, theme, wording, wording_packs, wording_trust
from dashboard.charts.waterfall import Step
from dashboard.filters import Filters
from dashboard.packs import brief as packs
from dashboard.packs import native, pictures
from dashboard.packs.board import board, facts, typeset
from dashboard.packs.content import MOST_PEOPLE, Brief, gather
from dashboard.packs.deck import deck
from dashboard.packs.ledger import finance_workbook
from dashboard.packs.native import Range
from dashboard.packs.slides import SIZES, fitting_size
from dashboard.packs.svg import Drawing, printable
from pipelines import runs
from pipelines.errors import EditionError, TrustError
from pipelines.progress import Silent
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from tests.dashboard import editions
from tests.dashboard.conftest import Open
from tests.dashboard.test_app import words

VARIANTS = [name for name in sorted(editions.VARIANTS) if name != "many"]
"""A company of 2,000 takes long to make; one of 60 has a test of its own."""

_MADE: dict[str, Brief] = {}


@pytest.fixture
def brief(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``brief(variant)``: everything the packs of that company are made of."""

    def made(variant: str) -> Brief:
        if variant not in _MADE:
            root = editions.workspace_of(tmp_path_factory.mktemp(variant), variant).root
            _MADE[variant] = gathered(Workspace.at(root), monkeypatch)
        found = _MADE[variant]
        monkeypatch.setenv(WORKSPACE_VARIABLE, str(found.ref.path.parents[1]))
        return found

    return made


def gathered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, scope: str = "company") -> Brief:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    st.cache_resource.clear()
    st.cache_data.clear()
    current = shelf.current_id(workspace)
    assert current is not None
    calls = shelf.choices(shelf.edition(workspace, current)).calls
    layer, category = calls[0] if calls else ("rep", "commit")
    return gather(workspace, Filters(current, scope=scope, layer=layer, category=category))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A simulated company with deals, managers and misses, published once."""
    workspace = Workspace.at(tmp_path_factory.mktemp("packs") / "ws")
    runs.demo(workspace, Silent(), reps=12, quarters=7, seed=3)
    return workspace


@pytest.fixture
def whole(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> Brief:
    if "whole" not in _MADE:
        _MADE["whole"] = gathered(company, monkeypatch)
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(company.root))
    return _MADE["whole"]


def unpacked(pdf: bytes) -> bytes:
    """The file with every compressed stream beside it in the open."""
    parts = [pdf]
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            parts.append(zlib.decompress(found[1].rstrip(b"\r\n")))
        except zlib.error:
            continue
    return b"\n".join(parts)


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type ?/Page\b", unpacked(pdf)))


def pdf_text(pdf: bytes, folder: Path) -> str:
    """What a reader can select and search, by poppler's own reading."""
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("reading a PDF's text needs pdftotext (apt-get install poppler-utils)")
    path = folder / "paper.pdf"
    path.write_bytes(pdf)
    done = subprocess.run([tool, "-layout", str(path), "-"], capture_output=True, text=True, check=True)
    return done.stdout


def opened(pptx: bytes) -> Any:
    return Presentation(io.BytesIO(pptx))


def slides_of(found: Brief) -> list[Any]:
    """The deck's slides, made once per company."""
    key = (found.ref.edition_id, str(found.ref.path))
    if key not in _DECKS:
        _DECKS[key] = deck(found)
    return list(opened(_DECKS[key]).slides)


_DECKS: dict[tuple[str, str], bytes] = {}


def slide_texts(slide: Any) -> list[str]:
    return [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]


def charts(slides: Any) -> list[tuple[Any, Chart]]:
    return [(shape, shape.chart) for slide in slides for shape in slide.shapes if shape.has_chart]


def flat(told: object) -> str:
    """Every text of the facts of a board paper, one after the other."""
    if isinstance(told, dict):
        return " ".join(flat(value) for value in told.values())
    if isinstance(told, list):
        if len(told) == 2 and isinstance(told[0], str) and isinstance(told[1], bool):
            return told[0]
        return " ".join(flat(value) for value in told)
    return told if isinstance(told, str) else ""


# Every state of a company


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_company_gets_two_pages_of_paper(variant: str, brief: Any) -> None:
    pdf = board(brief(variant))
    assert pdf.startswith(b"%PDF-1.7")
    assert pages(pdf) == 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_company_gets_a_deck_of_findings(variant: str, brief: Any) -> None:
    found = brief(variant)
    slides = slides_of(found)
    # The verdict first, one a person, what cannot be said last; what has no answer has no slide.
    assert len(slides) >= 2 + len(found.people)
    assert len(slides) >= 4 + len(found.people) or not found.trust.has_calls
    for slide in slides:
        title = slide.shapes.title.text_frame.text
        assert title
        assert len(title) <= wording.TITLE_LENGTH, title
        assert slide.notes_slide.notes_text_frame.text.strip()
        assert found.ref.edition_id in " ".join(slide_texts(slide))
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.left + shape.width <= 12_192_000 + 100_000
            assert shape.top + shape.height <= 6_858_000


@pytest.mark.parametrize("variant", ["no_calls", "two_quarters", "one_rep", "records"])
def test_what_is_not_known_is_said_and_not_left_blank(variant: str, brief: Any) -> None:
    found = brief(variant)
    said = " ".join(text for slide in slides_of(found) for text in slide_texts(slide))
    state = wording.VERDICTS[found.trust.verdict.state][0]
    assert state in said
    assert state in flat(facts(found))
    last = slides_of(found)[-1]
    assert len(" ".join(slide_texts(last))) > 200, "what cannot be said is told in sentences"
    assert "nan" not in said.lower().replace("finance", "").split()
    assert "None" not in said


def test_a_large_company_has_a_bounded_deck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.at(tmp_path)
    editions.publish(workspace, replace(editions.VARIANTS["full"], reps=60))
    found = gathered(workspace, monkeypatch)
    assert found.people_count > 2 * MOST_PEOPLE
    assert len(found.people) <= MOST_PEOPLE
    kinds = {person.word for person in found.people}
    assert "not_enough_evidence" not in kinds, "a slide is for those of whom something can be said"
    slides = slides_of(found)
    assert len(slides) < 12 + MOST_PEOPLE
    assert any(theme.count(found.people_count) in text for slide in slides for text in slide_texts(slide))


# The same figures everywhere


def test_page_paper_and_deck_say_the_same_sentences(brief: Any, open_app: Open, tmp_path: Path) -> None:
    found = brief("held")
    page = " ".join(words(open_app(found.ref.path.parents[1])).replace("\\", "").replace("*", "").split())
    paper = " ".join(pdf_text(board(found), tmp_path).split())
    slides = " ".join(" ".join(text for s in slides_of(found) for text in slide_texts(s)).split())
    frame, trust = found.trust.context.frame, found.trust
    assert trust.outlook is not None
    for amount in (trust.outlook.estimate, trust.outlook.lower, trust.outlook.upper):
        said = theme.money(amount, frame.currency)
        assert said in page
        assert said in paper
        assert said in slides
    reason = " ".join(wording.plain(wording_trust.verdict_reason(trust.verdict, frame, trust.grounds)).split())
    for told in (page, flat(facts(found)), slides):
        assert reason.removesuffix(".").lower() in " ".join(told.split()).lower()


@pytest.mark.parametrize("variant", ["full", "held", "failed", "records"])
def test_paper_holds_the_record_to_the_cent(variant: str, brief: Any, tmp_path: Path) -> None:
    found = brief(variant)
    text = pdf_text(board(found), tmp_path)
    currency = found.trust.context.currency
    shown = found.trust.record.tail(8).to_dicts()
    assert len(shown) == 8
    for row in shown:
        for amount in (row["call_amount"], row["landed_amount"]):
            assert theme.money_full(amount, currency) in text
        assert theme.money_full(row["error_amount"], currency, signed=True) in text
    for row in found.trust.ranges.tail(8).to_dicts():
        assert theme.money_full(row["lower"], currency) in text


@pytest.mark.parametrize("variant", ["full", "failed"])
def test_charts_are_native_and_hold_the_record_to_the_cent(variant: str, brief: Any) -> None:
    found = brief(variant)
    slides = slides_of(found)
    record = next(s for s in slides if s.shapes.title.text_frame.text == wording_trust.record_title(
        found.trust.summary, found.trust.context.noun))  # fmt: skip
    ((_, chart),) = charts([record])
    called, landed = chart.plots[0].series
    rows = found.trust.record.tail(16)
    assert [cents(value) for value in called.values[: rows.height]] == rows["call_amount"].to_list()
    assert [cents(value) for value in landed.values[: rows.height]] == rows["landed_amount"].to_list()
    assert landed.values[-1] is None, "what has not landed has no bar"
    # The sheet behind the chart, which is what somebody edits, holds the same.
    sheet = openpyxl.load_workbook(io.BytesIO(chart.part.chart_workbook.xlsx_part.blob)).active
    assert [cents(row[1]) for row in sheet.iter_rows(min_row=2, values_only=True)][: rows.height] == rows[
        "call_amount"
    ].to_list()
    notes = record.notes_slide.notes_text_frame.text
    for amount in rows["call_amount"]:
        assert theme.money_full(amount, found.trust.context.currency) in notes


def cents(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.01"))


def test_a_past_range_is_drawn_as_issued(brief: Any) -> None:
    found = brief("failed")
    titled = {s.shapes.title.text_frame.text: s for s in slides_of(found)}
    slide = next(slide for title, slide in titled.items() if title.startswith("The range held"))
    ((_, chart),) = charts([slide])
    carrier, expected, inside, outside = chart.plots[0].series
    rows = found.trust.ranges.tail(16)
    assert [cents(value) for value in expected.values] == rows["estimate"].to_list()
    held = rows["is_inside"].to_list()
    assert [value is not None for value in inside.values] == held
    assert [value is None for value in outside.values] == held
    names = {"c": "http://schemas.openxmlformats.org/drawingml/2006/chart"}
    lengths = [float(node.text) for node in carrier._element.findall("c:errBars/c:plus//c:v", names)]
    assert [cents(length) for length in lengths] == (rows["upper"] - rows["estimate"]).to_list()


def test_every_chart_has_a_text_with_its_numbers(whole: Brief) -> None:
    found = charts(slides_of(whole))
    assert len(found) >= 6
    for shape, chart in found:
        alt = shape._element.nvGraphicFramePr.cNvPr.get("descr")
        assert re.search(r"\d", alt), alt
        assert chart.part.chart_workbook.xlsx_part is not None


def test_the_bridge_on_the_slide_is_the_bridge_of_the_page(whole: Brief) -> None:
    assert whole.miss.status == "ok"
    slide = next(s for s in slides_of(whole) if whole.miss.label in s.shapes.title.text_frame.text)
    ((_, chart),) = charts([slide])
    sums = {series.name: [value or 0.0 for value in series.values] for series in chart.plots[0].series}
    gains = sum(cents(value) for value in sums.get("gain", []))
    losses = sum(cents(value) for value in sums.get("loss", []))
    call, landed = whole.miss.call_amount, whole.miss.actual_amount
    assert call is not None
    assert landed is not None
    assert call + gains - losses == landed, "call + steps = landed, to the cent"
    notes = slide.notes_slide.notes_text_frame.text
    for amount, _ in whole.miss.bridge.values():
        assert theme.money_full(amount, whole.miss.currency) in notes


def test_misses_pipeline_and_value_added_are_those_of_the_pages(whole: Brief, tmp_path: Path) -> None:
    paper = " ".join(pdf_text(board(whole), tmp_path).split())
    for answer in whole.past_misses:
        if answer.status == "ok" and answer.miss_amount:
            assert theme.money(abs(answer.miss_amount), answer.currency) in paper
    titles = [slide.shapes.title.text_frame.text for slide in slides_of(whole)]
    assert any("quota" in title or "deals" in title for title in titles)
    assert wording_packs.unsaid_title(2) in titles


def test_a_scope_and_a_period_are_honoured(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(company.root))
    st.cache_data.clear()
    ref = shelf.edition(company, str(shelf.current_id(company)))
    scope, name = shelf.choices(ref).scopes[-1]
    filters = Filters(ref.edition_id, scope=scope)
    everybody = {person for person, _ in answers.forecasters(Filters(ref.edition_id)).rows.select(
        "forecaster_id", "name").iter_rows()}  # fmt: skip
    labels = [label for _, label in gather(company, filters).miss.periods]
    found = gather(company, filters, labels[1])
    assert found.trust.context.scope == scope
    assert {person.forecaster_id for person in found.people} < everybody
    assert found.miss.label == labels[1]
    assert name in flat(facts(found))


# A file that a reader can use


def test_the_paper_is_tagged_titled_and_in_a_language(brief: Any) -> None:
    inside = unpacked(board(brief("held")))
    assert b"/StructTreeRoot" in inside
    assert re.search(rb"/Lang ?\(en\)", inside)
    assert re.search(rb"pdfuaid:part(>|=\")1", inside), "it says that it keeps PDF/UA-1, and the compiler checked it"
    # The picture of the odds, the record, the strip of past ranges and the leans.
    assert len(re.findall(rb"/Alt ?[(<]", inside)) == 4


def test_the_same_edition_and_filters_give_the_same_paper(brief: Any) -> None:
    assert board(brief("held")) == board(brief("held"))


def test_no_name_can_change_the_page(brief: Any, tmp_path: Path) -> None:
    told = facts(brief("held"))
    hostile = '#panic("x") $1+1$ *b* _i_ @ref <label> [c] `code` \\ " // /* => = - + 1.'
    told["company"] = told["misses"]["title"] = hostile
    told["outlook"] = [[hostile, True]]
    pdf = typeset(told, 0)
    assert pages(pdf) == 2
    assert pdf_text(pdf, tmp_path).count('#panic("x") $1+1$ *b* _i_ @ref <label> [c] `code` \\ "') >= 3


@pytest.mark.parametrize("name", ["Örjan Ødegård-Škvorecký", "Ελένη Παπαδοπούλου", "Жанна Щукина", "אברהם לוי"])
def test_names_in_scripts_that_ship_with_it_keep_the_standard(name: str, brief: Any, tmp_path: Path) -> None:
    told = facts(brief("held"))
    told["company"] = name
    pdf = typeset(told, 0)
    assert b"pdfuaid" in unpacked(pdf)
    letters = set(name.replace(" ", ""))
    assert letters <= set(pdf_text(pdf, tmp_path)), "right to left or left to right, the letters are text"


@pytest.mark.parametrize("name", ["株式会社日本", "한국 주식회사", "😀 Inc", "a" * 400, "x\x00y\x0bz\x1b"])
def test_names_in_any_script_and_of_any_length_make_two_pages(name: str, brief: Any) -> None:
    told = facts(brief("held"))
    told["company"] = printable(name)
    told["misses"]["told"] = [{"title": printable(name), "causes": [[printable(name), False]]}] * 4
    pdf = typeset(told, 0)
    assert pages(pdf) == 2


def test_what_no_one_can_see_is_a_blank() -> None:
    assert printable("a\x00b\tc\u202ed") == "a b c d"
    assert printable("Zoë 日本") == "Zoë 日本"


def test_a_deck_takes_any_name(brief: Any) -> None:
    found = brief("one_rep")
    person = replace(found.people[0], name="=HYPERLINK(\x00) 株式会社 " + "n" * 300)
    slides = opened(deck(replace(found, people=(person,)))).slides
    titles = [slide.shapes.title.text_frame.text for slide in slides]
    assert any(title.startswith("=HYPERLINK") and len(title) <= wording.TITLE_LENGTH for title in titles)


# Charts: what a position means


def test_a_waterfall_joins_exactly_above_and_below_zero() -> None:
    amounts = [Decimal("10.10"), Decimal("-25.25"), Decimal("7.07"), Decimal("20.20"), Decimal("-30.01")]
    steps = [Step("call", amounts[0], "call"), *(Step(f"s{n}", amount) for n, amount in enumerate(amounts[1:]))]
    steps.append(Step("landed", sum(amounts, Decimal(0)), "total"))
    data = native.waterfall_data(steps, "USD")
    columns = {series.name: [value or 0.0 for value in series.values] for series in data}
    base = columns.pop(native.HIDDEN)
    at = Decimal(0)
    for place, step in enumerate(steps):
        begin = at if step.kind == "change" else Decimal(0)
        at = begin + step.amount
        seen = [values[place] for values in columns.values()]
        top = cents(max(base[place], 0.0) + sum(value for value in seen if value > 0))
        bottom = cents(min(base[place], 0.0) + sum(value for value in seen if value < 0))
        low = top - cents(sum(value for value in seen if value > 0)) if bottom >= 0 else bottom
        high = top if top > 0 else bottom - cents(sum(value for value in seen if value < 0))
        assert (low, high) == (min(begin, at), max(begin, at)), step
    assert any(name.endswith(native.BELOW) for name in columns)


@pytest.mark.parametrize("ends", [(0.6, 0.8, 0.9), (-0.2, 0.1, 0.3), (-0.3, -0.1, 0.2), (-0.5, -0.4, -0.1)])
def test_a_range_changes_shade_at_its_estimate(ends: tuple[float, float, float]) -> None:
    lower, estimate, upper = ends
    data = native.ranges_data([Range("x", lower, estimate, upper, "#000000")])
    stack = {series.name: series.values[0] for series in data}
    above = max(stack[native.HIDDEN], 0.0)
    below = min(stack[native.HIDDEN], 0.0)
    nearer: list[float] = []
    for name, value in stack.items():
        if name == native.HIDDEN or not value:
            continue
        start = above if value > 0 else below
        end = start + value
        above, below = (end, below) if value > 0 else (above, end)
        if name.startswith(native.NEARER):
            nearer += [start, end]
    assert (min([*nearer, max(nearer)]), max(nearer)) == pytest.approx((lower, estimate))
    assert (above if upper > 0 else stack[native.HIDDEN]) == pytest.approx(upper)


def test_twenty_outcomes_are_twenty_marks(brief: Any) -> None:
    trust = brief("held").trust
    plan = trust.outlook.plan
    picture = pictures.dots_picture(
        dots=trust.outlook.dots,
        across=[pictures.Across(plan.amount, "quota", is_plan=True)],
        span=(trust.outlook.lower, trust.outlook.estimate, trust.outlook.upper),
        currency="USD",
    )
    svg = picture.svg()
    # One diamond more: the middle of the range.
    assert (svg.count("<polygon") - 1, svg.count("<circle")) == (plan.miss_count, 20 - plan.miss_count)


def test_a_picture_holds_no_text_that_a_font_must_draw() -> None:
    picture = Drawing(10, 10)
    picture.text(1, 2, "<b>&\x00", fill="#000000", anchor="end")
    assert "<text" not in picture.svg()
    assert picture.words[0].said == "<b>& "
    assert picture.words[0].anchor == 1.0


def test_more_words_are_set_smaller_and_never_below_the_least() -> None:
    sizes = [fitting_size(["word " * 20] * count, 3_000_000, 3_000_000) for count in (1, 5, 10, 50)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == SIZES[-1]


# Words


def test_every_reason_of_a_verdict_fits_a_title() -> None:
    for word, _ in wording.VERDICTS.values():
        for reason in wording_packs.SHORT_REASONS.values():
            assert len(f"{word}: {reason.format(noun='quarter')}") <= wording.TITLE_LENGTH


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No layer's calls have a record yet"),
        ([("rep", 0.7, 0.9)], "Reps: commit calls run high by 11–43 % on average"),
        ([("rep", 0.7, 0.9), ("manager", 0.9, 1.1)], "Of 2 kinds of calls, 1 runs high on average"),
        ([("rep", 0.7, 0.9), ("manager", 1.1, 1.2)], "Of 2 kinds of calls, 1 runs high and 1 runs low on average"),
        ([("rep", 0.9, 1.1), ("manager", 0.9, 1.1)], "None of 2 kinds of calls shows a lean on average"),
    ],
)
def test_leans_of_layers_in_words(rows: list[tuple[str, float, float]], said: str) -> None:
    told = [{"layer": layer, "category": "commit", "lower": lower, "upper": upper} for layer, lower, upper in rows]
    assert wording_packs.leans_title(told).replace("\u00a0", " ") == said


def test_a_forecaster_s_title_is_cut_at_the_name_and_not_at_the_finding() -> None:
    row = {"lower": 0.6, "upper": 0.77}
    long = wording_packs.forecaster_title("n" * 90, row, "runs_high")
    assert long.endswith("calls run high by 30–67\u00a0%")
    assert len(long) <= wording.TITLE_LENGTH
    assert wording_packs.forecaster_title("Ann", None, "no_call") == "Ann: no call made"
    assert wording_packs.unsaid_people(0, 5) is None
    assert "the one forecaster leans" in str(wording_packs.unsaid_people(1, 1))


# On demand


def test_a_pack_is_made_by_the_command_and_named_for_its_edition(
    company: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, "elsewhere")
    monkeypatch.chdir(tmp_path)
    write = entry_points(group="forecast_trust.screens")["brief"].load()
    asked = {"edition_id": None, "scope": None, "calls": None, "period": None}
    path = write(company, file_format="pdf", out=None, **asked)
    assert path.name == f"board-paper-{shelf.current_id(company)}.pdf"
    assert path.read_bytes().startswith(b"%PDF")
    out = tmp_path / "review.pptx"
    assert write(company, file_format="pptx", out=out, **asked) == out
    assert len(opened(out.read_bytes()).slides) > 8


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"scope": "nobody"}, "Scope 'nobody' is not in edition"),
        ({"calls": "rep:hopes"}, "Calls 'rep:hopes' are not in edition"),
        ({"period": "Q9 1999"}, "Period 'Q9 1999' has not closed"),
        ({"edition_id": "none"}, "There is no edition 'none'"),
        ({"out": "missing/x.pdf"}, "cannot be written"),
    ],
)
def test_what_cannot_be_made_is_told_with_a_remedy(
    asked: dict[str, str], problem: str, company: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(company.root))
    out = Path(asked.pop("out", str(tmp_path / "x.pdf")))
    with pytest.raises(TrustError) as caught:
        packs.write(company, **({"edition_id": None, "file_format": "pdf", "out": out} | asked))  # type: ignore[arg-type]
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_an_empty_workspace_says_what_to_publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path))
    with pytest.raises(EditionError, match="no published edition") as caught:
        packs.write(Workspace.at(tmp_path), edition_id=None, file_format="pdf", out=None)
    assert "forecast-trust publish" in caught.value.remedy


def test_the_pages_offer_every_pack_without_making_one(
    full_workspace: Path, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> bytes:
        raise AssertionError("made before anybody asked")

    monkeypatch.setattr(packs, "make", refused)
    at = open_app(full_workspace)
    assert not at.exception
    offered = [button.label for button in at.button if str(button.key).startswith("take-")]
    assert offered == [wording_packs.FORMATS[kind][0] for kind in packs.MAKERS]
    assert not at.get("download_button"), "nothing to save before it is made"


def test_a_pack_is_made_at_the_first_press_and_saved_at_the_second(
    full_workspace: Path, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(file_format: str, *_: object) -> bytes:
        made.append(file_format)
        return b"%PDF-1.7"

    monkeypatch.setattr(packs, "make", make)
    at = open_app(full_workspace)
    at.button(key="take-pdf").click().run()
    assert not at.exception
    assert made == ["pdf"]
    (save,) = at.get("download_button")
    assert save.proto.label == "Save the PDF file"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EditionError("The edition is gone.", "Publish again with `forecast-trust publish`."), "The edition is gone."),
        (RuntimeError("Ann Ohm, $1,000"), "that is our fault, not yours"),
    ],
)
def test_a_pack_that_cannot_be_made_is_told_on_the_page(
    error: Exception, told: str, full_workspace: Path, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(packs, "make", failing)
    at = open_app(full_workspace)
    at.button(key="take-xlsx").click().run()
    assert not at.exception
    (said,) = at.error
    assert told in said.value
    assert "Ann Ohm" not in said.value
    assert not at.get("download_button")
    assert at.title, "the page itself still stands"


# The workbook


def book_of(found: Brief) -> tuple[Any, Any]:
    """(what is shown, what is written): values beside formulas."""
    made = finance_workbook(found)
    return tuple(openpyxl.load_workbook(io.BytesIO(made), data_only=shown) for shown in (True, False))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_company_gets_a_workbook_that_checks(variant: str, brief: Any) -> None:
    shown, written = book_of(brief(variant))
    checks = 0
    for sheet in written:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type != "f":
                    continue
                value = shown[sheet.title][cell.coordinate].value
                assert not str(value).startswith("#"), (sheet.title, cell.coordinate)
                if cell.value.startswith("=ABS(") or re.match(r"=[A-Z]+\d+=[A-Z]+\d+$", cell.value):
                    assert value is True, (sheet.title, cell.coordinate, cell.value)
                    checks += 1
    assert checks >= 2 or not brief(variant).trust.has_calls


def test_the_workbook_holds_what_page_paper_and_deck_hold(brief: Any) -> None:
    found = brief("held")
    shown, written = book_of(found)
    record, rows = shown[wording_packs.SHEETS["record"]], found.trust.record.to_dicts()
    for line, row in zip(record.iter_rows(min_row=5, max_row=4 + len(rows)), rows, strict=True):
        label, called, landed, error, lands_at = (cell.value for cell in line[:5])
        assert label == row["label"]
        assert [cents(value) for value in (called, landed, error)] == [
            row["call_amount"], row["landed_amount"], row["error_amount"]]  # fmt: skip
        assert lands_at == pytest.approx(row["landing_rate"])
    formulas = [line[3].value for line in written[record.title].iter_rows(min_row=5, max_row=4 + len(rows))]
    assert formulas == [f"=B{place}-C{place}" for place in range(5, 5 + len(rows))]
    outlook = found.trust.outlook
    stated = [row[1].value for row in shown[wording_packs.SHEETS["range"]].iter_rows(min_row=4, max_row=6)]
    assert [cents(value) for value in stated] == [outlook.lower, outlook.estimate, outlook.upper]
    paper = flat(facts(found))
    for amount in stated:
        assert theme.money(cents(amount), "USD") in paper


def test_the_bridge_of_the_workbook_leaves_nothing_over(whole: Brief) -> None:
    shown, _ = book_of(whole)
    rows = [
        row for row in shown[wording_packs.SHEETS["miss"]].iter_rows(min_row=5, values_only=True) if row[3] is not None
    ]
    *steps, landed, rest = rows
    assert sum((cents(row[3]) for row in steps), Decimal(0)) == cents(landed[3]) == whole.miss.actual_amount
    assert (rest[1], rest[3]) == (0, True)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")', "http://x.test", "007"])
def test_no_name_becomes_a_formula_a_link_or_a_number(name: str, brief: Any) -> None:
    found = brief("one_rep")
    rows = found.forecasters.rows.with_columns(name=pl.lit(name))
    hostile = replace(found, forecasters=replace(found.forecasters, rows=rows))
    _, written = book_of(hostile)
    cell = written[wording_packs.SHEETS["forecasters"]]["A5"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (name, "s", None)


def test_the_same_edition_gives_the_same_workbook(brief: Any) -> None:
    assert finance_workbook(brief("one_rep")) == finance_workbook(brief("one_rep"))
