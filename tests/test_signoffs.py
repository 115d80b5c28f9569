"""Sign-off notes: added, never rewritten, whole under two writers, and read past whatever else is in the file."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipelines import runs
from pipelines.cli import main
from pipelines.errors import EditionError, TrustError, WorkspaceError
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.signoffs import Signoff, latest, read_signoffs, sign_off
from tests.test_books import line
from tests.test_pairs import call, won
from tests.warehouse_help import at, land, land_all

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime.fromisoformat("2026-10-20T09:00:00")


def note(text: str = "Agreed with Ann", key: str = "opportunity:a1", **more: object) -> Signoff:
    told = {
        "signed_at": NOW, "signed_by": "Fay", "edition_id": "e", "kind": "partial", "difference": Decimal("40.00"),
    } | more  # fmt: skip
    return Signoff(key=key, note=text, **told)  # type: ignore[arg-type]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    place = Workspace(tmp_path / "workspace")
    place.create()
    return place


def published(workspace: Workspace) -> None:
    land_all(
        workspace,
        {
            "opportunities": [won("a1", amount=100), won("b1", amount=50)],
            "forecast_submissions": [call()],
            "bookings": [line("A1", 60, opportunity_id="a1"), line("B1", 50, opportunity_id="b1"), line("a1", 3)],
        },
    )
    runs.publish(workspace, Silent(), as_of=at("2026-12-20"))


def test_what_was_written_is_read_and_nothing_is_rewritten(workspace: Workspace) -> None:
    sign_off(workspace, note("first"))
    before = workspace.signoffs.read_bytes()
    sign_off(workspace, note("second", difference=None))
    assert workspace.signoffs.read_bytes().startswith(before)
    notes, unreadable = read_signoffs(workspace)
    assert [(n.note, n.difference) for n in notes] == [("first", Decimal("40.00")), ("second", None)]
    assert unreadable == []
    assert latest(notes)["opportunity:a1"].note == "second"
    assert stat.S_IMODE(workspace.signoffs.stat().st_mode) == 0o600


@given(st.text(min_size=1, max_size=200).filter(str.strip))
def test_any_words_come_back_as_they_were(text: str) -> None:
    """Line ends of every alphabet, quotes, emoji: one note stays one line."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder))
        sign_off(place, note(text))
        assert place.signoffs.read_bytes().count(b"\n") == 1
        assert [n.note for n in read_signoffs(place)[0]] == [text.strip()]


WHOLE = '{"key":"k","signed_at":"2026-01-01","signed_by":"x","edition_id":"e","kind":"k","difference":"1","note":"n"}'


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"null",
        b'{"key": 1}',
        b"\xff\xfe",
        WHOLE.replace("2026-01-01", "soon").encode(),
        WHOLE.replace('"1"', '"NaN"').encode(),
        WHOLE.replace('"x"', "7").encode(),
    ],
)
def test_a_malformed_line_is_told_and_harms_no_other(workspace: Workspace, bad: bytes) -> None:
    sign_off(workspace, note("before"))
    with workspace.signoffs.open("ab") as file:
        file.write(bad)  # no line end: as a killed writer leaves it
    sign_off(workspace, note("after"))
    notes, unreadable = read_signoffs(workspace)
    assert [n.note for n in notes] == ["before", "after"]
    assert [fault.line for fault in unreadable] == [2]


SIGN_MANY = """
import sys
from pathlib import Path
from pipelines.settings import Workspace
from pipelines.warehouse.signoffs import sign_off
from tests.test_signoffs import note
root, who = sys.argv[1:]
for number in range(40):
    sign_off(Workspace(Path(root)), note(f"{who} {number} " + "x" * 1500, signed_by=who))
"""


def test_two_writers_mix_no_line(workspace: Workspace) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", SIGN_MANY, str(workspace.root), who], cwd=ROOT)
        for who in ("ann", "bob")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    notes, unreadable = read_signoffs(workspace)
    assert unreadable == []
    for who in ("ann", "bob"):
        mine = [n.note.split()[1] for n in notes if n.signed_by == who]
        assert mine == [str(number) for number in range(40)]


def test_a_note_without_a_name_or_words_is_refused(workspace: Workspace) -> None:
    for bad in (note(" "), note(signed_by=""), note("x" * 2_001)):
        with pytest.raises(TrustError):
            sign_off(workspace, bad)
    assert not workspace.signoffs.exists()


def test_a_file_that_cannot_be_written_or_read_is_said(workspace: Workspace) -> None:
    workspace.signoffs.mkdir()
    with pytest.raises(WorkspaceError, match="cannot be written"):
        sign_off(workspace, note())
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_signoffs(workspace)


def test_the_command_signs_the_break_as_it_stands(workspace: Workspace) -> None:
    published(workspace)
    edition = editions.current(workspace)
    assert edition is not None
    before = edition.path.read_bytes()
    words = ["signoff", "opportunity:a1", "--by", "Fay", "--note", "Rest in Q1", "--workspace", str(workspace.root)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "Signed opportunity:a1 (partial, difference 40.00)" in done.output
    (signed,) = read_signoffs(workspace)[0]
    assert (signed.signed_by, signed.edition_id, signed.note) == ("Fay", edition.edition_id, "Rest in Q1")
    assert edition.path.read_bytes() == before, "the edition is never written"


@pytest.mark.parametrize(("key", "why"), [("b1", "it ties"), ("a1", "is in it twice"), ("booking:zz", "is not in it")])
def test_only_a_break_can_be_signed(workspace: Workspace, key: str, why: str) -> None:
    published(workspace)
    with pytest.raises(EditionError, match=why):
        runs.sign_off(workspace, key, signed_by="Fay", note="x")


def test_a_note_holds_for_the_next_edition_as_long_as_the_break_is_the_same(workspace: Workspace) -> None:
    published(workspace)
    signed = runs.sign_off(workspace, "opportunity:a1", signed_by="Fay", note="Rest in Q1")
    land(workspace, "opportunities", [won("c1", amount=5)])
    ref = runs.publish(workspace, Silent(), as_of=at("2026-12-21"))
    row = editions.read(ref, "reconciliation", where={"record_id": "a1", "record_kind": "opportunity"}).row(
        0, named=True
    )
    assert ref.edition_id != signed.edition_id
    assert signed.holds_for(row["break_kind"], row["difference_amount"])
    land(workspace, "bookings", [line("A2", 10, "2026-12-01", opportunity_id="a1")])
    ref = runs.publish(workspace, Silent(), as_of=at("2026-12-21"))
    row = editions.read(ref, "reconciliation", where={"record_id": "a1", "record_kind": "opportunity"}).row(
        0, named=True
    )
    assert row["difference_amount"] == Decimal("30.00")
    assert not signed.holds_for(row["break_kind"], row["difference_amount"])
