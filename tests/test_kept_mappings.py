"""A corrected mapping is a mapping file: written, read back the same, used for the next file with that header alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import runs
from pipelines.errors import MappingError
from pipelines.ingest import kept, mapping
from pipelines.ingest.kept import Correction
from pipelines.ingest.preview import correct, preview, sources_of
from pipelines.progress import Silent
from pipelines.settings import Workspace

PRESETS = [mapping.preset(name) for name in mapping.PRESETS]
MESSY = (
    "Who;Quarter starts;Said;Came in;Remark\n"
    "ann;01.04.2026;1.234,50;1.000,00;x\n"
    "bob;01.04.2026;12.000,00;n/a money;\n"
    ";01.07.2026;5.000,00;4.000,00;\n"
)
SOURCES = (
    ("forecaster_id", "Who"),
    ("period_start_on", "Quarter starts"),
    ("forecast_amount", "Said"),
    ("actual_amount", "Came in"),
)


def messy(folder: Path, text: str = MESSY) -> Path:
    path = folder / "messy.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", mapping.PRESETS)
def test_every_preset_written_as_text_reads_back_the_same(name: str) -> None:
    stated = mapping.preset(name)
    back = mapping.parse(kept.text_of(stated, list(stated.layouts.values())), name, f"{name}.toml")
    assert back.layouts == dict(stated.layouts)
    assert back.values == dict(stated.values)
    assert (back.missing, back.true_words, back.false_words) == (stated.missing, stated.true_words, stated.false_words)


def test_words_that_toml_would_trip_over_survive() -> None:
    text = 'name = "x"\n[values.stage]\n"a\\"b\\\\c" = "d\\te\\u007f"\n[layouts.l]\ntable = "quotas"\n'
    text += '[layouts.l.columns]\nperson_id = { from = "Ünï \\"q\\"", map = { "=" = "#" }, multiply = 0.001 }\n'
    stated = mapping.parse(text, "x", "x.toml")
    back = mapping.parse(kept.text_of(stated, list(stated.layouts.values())), "x", "x.toml")
    assert back.layouts == dict(stated.layouts)
    assert back.values == dict(stated.values)


def test_a_correction_is_kept_and_reads_the_file_and_the_next_one_like_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    path = messy(tmp_path)
    (before,) = preview([path], PRESETS)
    assert before.table is None
    assert before.problem is not None
    said = Correction("forecast_records", SOURCES, "d/m/y", ",")
    file = correct(path, before.file_name, said, PRESETS, workspace.mappings)
    assert file is not None
    assert file.stat().st_mode & 0o077 == 0
    (view,) = preview([path], kept.in_use(workspace))
    assert (view.table, view.problem) == ("forecast_records", None)
    assert dict(view.sources) == dict(SOURCES)
    # Row 2's money is no money and row 3 has no forecaster: two of three are set aside, each for its own rule.
    assert (view.row_count, view.accepted_count, view.rejected_count) == (3, 1, 2)
    assert set(view.rejected.select("line", "rule", "column_name").iter_rows()) == {
        (3, "not_money", "actual_amount"),
        (4, "missing", "forecaster_id"),
    }
    reports = runs.ingest(workspace, [path], Silent())
    assert [(item.table_name, item.accepted_count, item.rejected_count) for item in reports] == [
        ("forecast_records", 1, 2)
    ]
    later = tmp_path / "later.csv"
    later.write_text(MESSY.replace("ann", "eve").replace("n/a money", "1.500,00"), encoding="utf-8")
    assert runs.ingest(workspace, [later], Silent())[0].accepted_count == 2


def test_another_header_is_not_read_by_it(tmp_path: Path) -> None:
    path = messy(tmp_path)
    correct(path, path.name, Correction("forecast_records", SOURCES, "d/m/y", ","), PRESETS, tmp_path / "kept")
    known = kept.kept([tmp_path / "kept"])
    assert len(known) == 1
    other = tmp_path / "other.csv"
    other.write_text(MESSY.replace("Remark", "Note"), encoding="utf-8")
    assert preview([other], [*known, *PRESETS])[0].table is None


def test_the_order_of_dates_settles_what_the_file_leaves_open(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text("person_id,period_start_on,amount\nann,01/04/2026,5\n", encoding="utf-8")
    (view,) = preview([path], PRESETS)
    assert view.problem is not None
    assert "day/month or month/day" in view.problem
    for order, day in (("d/m/y", "2026-04-01"), ("m/d/y", "2026-01-04")):
        correct(path, path.name, Correction("quotas", (), order, None), PRESETS, tmp_path / order.replace("/", ""))
        workspace = Workspace(tmp_path / f"ws-{order.replace('/', '')}")
        workspace.create()
        (tmp_path / order.replace("/", "")).rename(workspace.mappings)
        (settled,) = preview([path], kept.in_use(workspace))
        assert settled.problem is None
        assert settled.date_format == order
        assert [column.reading for column in settled.columns if column.header == "period_start_on"] == [f"day, {order}"]
        assert runs.ingest(workspace, [path], Silent())[0].accepted_count == 1, day


def test_a_column_can_be_taken_from_no_header(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text("person_id,period_start_on,amount,currency\nann,2026-04-01,5,Euro\n", encoding="utf-8")
    assert preview([path], PRESETS)[0].rejected_count == 1
    correct(path, path.name, Correction("quotas", (("currency", None),)), PRESETS, tmp_path / "kept")
    (view,) = preview([path], [*kept.kept([tmp_path / "kept"]), *PRESETS])
    assert (view.accepted_count, view.rejected_count) == (1, 0)
    assert "currency" not in dict(view.sources)


def test_a_correction_that_names_what_is_not_there_is_refused(tmp_path: Path) -> None:
    path = messy(tmp_path)
    for said in (
        Correction("nothing"),
        Correction("quotas", (("person_id", "Nobody"),)),
        Correction("quotas", (("nothing", "Who"),)),
        Correction("quotas", (), "d/y/m"),
        Correction("quotas", (), None, ";"),
    ):
        with pytest.raises(MappingError):
            correct(path, path.name, said, PRESETS, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_preset_stays_what_it_is_but_for_what_was_corrected(tmp_path: Path) -> None:
    """A Salesforce export keeps its value maps and identifiers when one column is corrected."""
    path = tmp_path / "q.csv"
    path.write_text("Id,QuotaOwnerId,StartDate,QuotaAmount,Plan\n1,00500000000000A,2026-04-01,5,7\n", encoding="utf-8")
    (before,) = preview([path], PRESETS)
    assert before.mapping_name == "salesforce"
    correct(path, path.name, Correction("quotas", (("amount", "Plan"),)), PRESETS, tmp_path / "kept")
    (known,) = kept.kept([tmp_path / "kept"])
    plain = mapping.preset("salesforce").layouts["forecasting_quota"].columns["person_id"]
    assert known.layouts["forecasting_quota"].columns["person_id"] == plain
    assert dict(preview([path], [known, *PRESETS])[0].sources)["amount"] == "Plan"


def test_a_long_file_is_judged_on_its_first_rows_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    rows = "".join(f"p{at},2026-04-01,{at}\n" for at in range(50))
    path.write_text("person_id,period_start_on,amount\n" + rows, encoding="utf-8")
    (view,) = preview([path], PRESETS, read_rows=20)
    assert (view.row_count, view.is_whole, view.accepted_count) == (20, False, 20)
    (whole,) = preview([path], PRESETS, read_rows=50)
    assert (whole.row_count, whole.is_whole) == (50, True)


def test_another_table_starts_from_what_its_plain_names_find(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("rep,created,close date,stage,value\na,2026-01-01,2026-02-01,Won,5\n", encoding="utf-8")
    found = sources_of(path, path.name, "opportunities", PRESETS)
    assert found["close_on"] == "close date"
    assert found["owner_id"] == "rep"
    assert "opportunity_id" not in found


def test_a_broken_kept_mapping_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "mine.toml").write_text("layouts = 3", encoding="utf-8")
    with pytest.raises(MappingError, match=r"mine\.toml"):
        runs.ingest(Workspace(tmp_path), [messy(tmp_path)], Silent())
