"""What is kept between publications: whatever lands in whatever order, the same tables as from the landing alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.policy import DEFAULT_POLICY
from pipelines.settings import Workspace
from pipelines.warehouse import history, kept
from pipelines.warehouse.kept import Kept
from pipelines.warehouse.kept_groups import GROUPS
from pipelines.warehouse.landing import Landing
from tests.test_history import BEGIN, SPAN_HOURS, STAGES, TODAY, Deal, a_company, a_value, as_text, everything
from tests.warehouse_help import at, day, land, land_all


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test makes of the sizes from which things are done otherwise ends with it."""
    monkeypatch.setattr(kept, "FEW_RATE", kept.FEW_RATE)
    monkeypatch.setattr(kept, "BATCH", kept.BATCH)
    monkeypatch.setattr(kept, "WEEKS_BATCH", kept.WEEKS_BATCH)


LATELY = (timedelta(0), timedelta(hours=-3), timedelta(days=12))

FEW = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def content(workspace: Workspace, as_of: datetime | None, *, told: list[str] | None = None) -> dict[str, list[str]]:
    """Every published table of the history, every kept one, and the digest, as texts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        history.build(workspace, as_of, DEFAULT_POLICY, workspace.settings(), Path(folder)) as built,
    ):
        assert isinstance(built.engine, Kept)
        if told is not None:
            told.append(built.engine.told)
        tables = {name: [repr(row) for row in rows.rows()] for name, rows in built.tables().items()}
        for group in GROUPS:
            rows = built.engine.frame(f"select * from {group.kept}")
            tables[f"kept {group.kept}"] = sorted(repr(row) for row in rows.rows())
        for name in ("version_corrections", "reported_versions", "seen_versions", "frozen_versions"):
            rows = built.engine.frame(f"select * from {name}").select(pl.all().exclude("belief_id"))
            tables[name] = sorted(repr(row) for row in rows.select(sorted(rows.columns)).rows())
        tables["digest"] = [built.input_digest, str(built.as_of_at), built.reporting_currency]
    return tables


def from_the_landing_alone(workspace: Workspace, folder: Path, as_of: datetime | None) -> dict[str, list[str]]:
    alone = Workspace(folder / "alone")
    shutil.rmtree(alone.root, ignore_errors=True)
    alone.create()
    shutil.copy(workspace.landing, alone.landing)
    return content(alone, as_of)


def same(found: dict[str, list[str]], expected: dict[str, list[str]], step: str) -> None:
    for name, rows in expected.items():
        if name not in ("inputs", "rejected_rows"):
            assert found[name] == rows, (step, name)
        assert sorted(found[name]) == sorted(rows), (step, name)


def land_more(workspace: Workspace, random: Random, company: list[Deal], now: datetime) -> str:
    """One of the things that happen to a company between two publications."""
    some = random.sample(company, max(1, len(company) // 12))
    kind = random.choice(
        [
            "nothing",
            "extract",
            "undated",
            "partial",
            "changes",
            "states",
            "late",
            "people",
            "rates",
            "stages",
            "far",
            "recorded",
            "mended",
            "retaken",
            "full",
        ]
    )
    if kind in ("extract", "undated"):
        born = [deal for deal in some if deal.born_at <= now]
        land_all(workspace, {"opportunities": [deal.row(now, now if kind == "extract" else None) for deal in born]})
    elif kind == "partial":
        rows = [deal.row(now, now) for deal in some if deal.born_at <= now]
        for row in rows:
            row["next_step"] = random.choice([None, "call"])
        land_all(workspace, {"opportunities": rows})
    elif kind == "changes":
        land_all(workspace, {"opportunity_history": [row for deal in some for row in deal.field_history(now)]})
    elif kind == "states":
        land_all(workspace, {"opportunity_states": [row for deal in some for row in deal.state_history(now)]})
    elif kind == "late":
        land_all(workspace, {"opportunity_history": [late_correction(random, deal) for deal in some]})
    elif kind == "people":
        who = random.choice(["ann", "bob", "cid"])
        row = {"person_id": who, "name": who.title(), "manager_id": random.choice(["mia", "max"])}
        land(workspace, "people", [row | {"valid_from_on": (now + timedelta(days=random.randrange(-90, 30))).date()}])
    elif kind == "rates":
        rate = {"currency": "EUR", "valid_from_on": (now + timedelta(days=random.randrange(-60, 30))).date()}
        land(workspace, "fx_rates", [rate | {"rate_to_reporting": Decimal("1.3")}])
    elif kind == "stages":
        land(workspace, "stages", [{"stage": "Paused", "stage_order": 9, "is_closed": False, "is_won": False}])
    elif kind == "far":
        rows = [deal.row(now, now) | {"close_on": day("2028-03-15")} for deal in some[:1] if deal.born_at <= now]
        land_all(workspace, {"opportunities": rows})
    else:
        correct(workspace, random, kind, company, now)
    return kind


def correct(workspace: Workspace, random: Random, kind: str, company: list[Deal], now: datetime) -> None:
    """Tell something of the past otherwise than before, or that deals are gone."""
    some = random.sample(company, max(1, len(company) // 12))
    if kind == "recorded":
        rows = [late_correction(random, deal) | {"recorded_at": now + random.choice(LATELY)} for deal in some]
        land_all(workspace, {"opportunity_history": rows})
    elif kind == "mended":
        rows = [row for deal in some for row in deal.field_history(now) if row["field"] == "amount"]
        land_all(workspace, {"opportunity_history": [row | {"new_value": "4.56"} for row in rows]})
    elif kind == "retaken":
        with Landing.open(workspace) as landing:
            taken = landing.rows("opportunities").drop("load_id", "line").drop_nulls("extracted_at").to_dicts()
        rows = random.sample(taken, min(4, len(taken)))
        land_all(workspace, {"opportunities": [row | {"owner_id": random.choice(["ann", "bob"])} for row in rows]})
    elif kind == "full":
        gone = random.choice(company).opportunity_id
        born = [deal for deal in company if deal.born_at <= now and deal.opportunity_id != gone]
        land_all(workspace, {"opportunities": [deal.row(now, now) for deal in born]})
        with Landing.open(workspace) as landing:
            landing.claim_full(now)


def late_correction(random: Random, deal: Deal) -> dict[str, Any]:
    """A change of some past instant that nobody had written down."""
    name = random.choice(["amount", "stage", "owner_id", "close_on", "is_deleted"])
    return {
        "opportunity_id": deal.opportunity_id,
        "changed_at": deal.born_at + timedelta(hours=random.randrange(1, SPAN_HOURS)),
        "field": name,
        "old_value": as_text(deal.birth[name]),
        "new_value": as_text(a_value(random, name)) or "12.34",
    }


@FEW
@given(seed=st.integers(0, 1_000_000))
def test_going_on_equals_beginning_anew(seed: int) -> None:
    random = Random(seed)
    company = a_company(random, deals=60)
    sizes = [(0.25, 500_000, 1_000_000), (2.0, 500_000, 7), (2.0, 25, 25)]
    kept.FEW_RATE, kept.BATCH, kept.WEEKS_BATCH = random.choice(sizes)
    now = BEGIN + timedelta(hours=random.randrange(24 * 60, SPAN_HOURS // 2))
    with tempfile.TemporaryDirectory() as folder:
        workspace, told = Workspace(Path(folder) / "workspace"), []
        land_all(workspace, everything(random, company, now, random.choice([now, None])))
        steps = ["first"]
        for _ in range(4):
            as_of = random.choice([now, now, None])
            found = content(workspace, as_of, told=told)
            same(found, from_the_landing_alone(workspace, Path(folder), as_of), " → ".join(steps) + f" | {told}")
            now = min(now + timedelta(hours=random.choice([0, 5, 30, 24 * 8, 24 * 40])), TODAY)
            steps.append(land_more(workspace, random, company, now))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    place = Workspace(tmp_path / "workspace")
    random = Random(7)
    land_all(place, everything(random, a_company(random, deals=80), at("2026-08-20"), at("2026-08-20")))
    return place


def a_change(workspace: Workspace) -> None:
    change = {"opportunity_id": "d3", "changed_at": at("2026-08-20 12:00"), "field": "amount", "new_value": "77.00"}
    land(workspace, "opportunity_history", [change])


def test_only_what_changed_is_made(workspace: Workspace) -> None:
    told: list[str] = []
    content(workspace, at("2026-08-20"), told=told)
    content(workspace, at("2026-08-20"), told=told)
    a_change(workspace)
    content(workspace, at("2026-08-20 13:00"), told=told)
    assert told[0] == "every opportunity (nothing is kept from before)"
    assert told[1].startswith("0 of ")
    touched = int(told[2].split()[0])
    assert 1 <= touched < 18, told[2]
    assert "as a whole" not in told[2]


def test_a_week_that_ends_leaves_the_sums_of_the_others(workspace: Workspace, tmp_path: Path) -> None:
    """The week that ran becomes whole and a new one begins; what nobody touched is neither lost nor told twice."""
    told: list[str] = []
    content(workspace, at("2026-08-20"))
    for as_of in (at("2026-08-20 21:00"), at("2026-08-27 09:00"), at("2026-09-18")):
        a_change(workspace)
        found = content(workspace, as_of, told=told)
        same(found, from_the_landing_alone(workspace, tmp_path, as_of), str(as_of))
    assert all("as a whole" not in text for text in told), told


def test_whoever_is_new_to_the_sums_is_told_every_week(workspace: Workspace, tmp_path: Path) -> None:
    """Somebody whose first deal comes in a week that is new has rows for the weeks before it too, all of zeros."""
    told: list[str] = []
    content(workspace, at("2026-08-20"))
    first = {"opportunity_id": "first", "owner_id": "newcomer", "created_on": "2026-08-24"}
    land(workspace, "opportunities", [SMALL | first])
    later = at("2026-09-03")
    found = content(workspace, later, told=told)
    same(found, from_the_landing_alone(workspace, tmp_path, later), "a newcomer")
    assert "as a whole" not in told[0]
    assert sum("'newcomer'" in row for row in found["pipeline_weekly"]) > 10


def test_an_earlier_instant_is_made_aside_and_spoils_nothing(workspace: Workspace) -> None:
    told: list[str] = []
    content(workspace, at("2026-08-20"), told=told)
    content(workspace, at("2026-05-01"), told=told)
    content(workspace, at("2026-08-20"), told=told)
    assert told[1] == "an earlier instant, made aside"
    assert told[2].startswith("0 of ")


@pytest.mark.parametrize(
    "harm",
    [
        lambda store: store.unlink(),
        lambda store: store.write_bytes(b"not a database"),
        lambda store: store.write_bytes(store.read_bytes()[:20_000]),
        lambda store: store.write_bytes(store.read_bytes()[: 12_288 + 40_000] + b"\0" * 200_000 + b"\0" * 60_000),
        lambda store: store.write_bytes(store.read_bytes()[: store.stat().st_size // 2]),
        lambda store: flip(store, every=300_000),
        lambda store: run(store, "drop table state"),
        lambda store: run(store, "drop table opportunity_versions"),
    ],
)
def test_a_damaged_store_is_made_anew(
    workspace: Workspace, tmp_path: Path, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    content(workspace, at("2026-08-20"))
    harm(workspace.history)
    a_change(workspace)
    monkeypatch.setattr(history, "_empty", partial(emptied, history._empty))
    same(content(workspace, None), from_the_landing_alone(workspace, tmp_path, None), "damaged")


def emptied(work: Callable[[Path], None], folder: Path) -> None:
    """What was begun is gone, and the folder is the one that its run holds the lock of."""
    (folder / "deep" / "er").mkdir(parents=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        work(folder)
        assert os.fstat(held).st_nlink > 0
        assert list(folder.iterdir()) == []
    finally:
        os.close(held)


def flip(store: Path, *, every: int) -> None:
    """Turn one byte over in each so many, past the headers."""
    content = bytearray(store.read_bytes())
    for place in range(12_288 + 5_000, len(content), every):
        content[place] ^= 0xFF
    store.write_bytes(bytes(content))


def run(store: Path, statement: str) -> None:
    with duckdb.connect(str(store)) as con:
        con.execute(statement)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.policy import DEFAULT_POLICY
from pipelines.settings import Workspace
from pipelines.warehouse import history, kept
kept.Kept.keep = lambda self: os.kill(os.getpid(), signal.SIGKILL)
place = Workspace(Path(sys.argv[1]))
history.build(place, None, DEFAULT_POLICY, place.settings(), Path(sys.argv[2]))
"""


def test_a_killed_process_leaves_nothing_to_rely_on(workspace: Workspace, tmp_path: Path) -> None:
    content(workspace, at("2026-08-20"))
    a_change(workspace)
    (tmp_path / "scratch").mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace.root), str(tmp_path / "scratch")],
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert ended.returncode == -signal.SIGKILL
    told: list[str] = []
    found = content(workspace, None, told=told)
    assert told == ["every opportunity (nothing is kept from before)"]
    same(found, from_the_landing_alone(workspace, tmp_path, None), "killed")


def test_a_store_in_use_is_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    told: list[str] = []
    content(workspace, None)
    with duckdb.connect(str(workspace.history)):
        found = content(workspace, None, told=told)
    assert told == ["another publication is running, so this one is made aside"]
    same(found, from_the_landing_alone(workspace, tmp_path, None), "in use")


def test_a_landing_that_is_another_one_is_noticed(workspace: Workspace) -> None:
    content(workspace, None)
    workspace.landing.unlink()
    told: list[str] = []
    land(workspace, "stages", STAGES)
    land(workspace, "opportunities", [{**small, "created_on": "2026-08-01"} for small in [SMALL]])
    content(workspace, at("2026-08-25"), told=told)
    assert told == ["every opportunity (the landing is another one)"]


SMALL = {
    "opportunity_id": "d1", "owner_id": "ann", "close_on": "2026-09-30", "stage": "Proposal", "amount": 5,
}  # fmt: skip
