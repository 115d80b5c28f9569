"""Two instants: what was true on a day, and since when it was told so, against a slow replay in plain Python."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.errors import EditionError
from pipelines.settings import Workspace
from pipelines.warehouse.landing import Landing
from pipelines.warehouse.restated import corrected_values
from tests.test_history import BEGIN, CLOSED, SPAN_HOURS, STAGES, TODAY, a_company, by_deal
from tests.warehouse_help import accepted, at, land, no_rejects, prepared

FEW = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a seed does not shrink
    suppress_health_check=[HealthCheck.too_slow],
)
FIELDS = ("owner_id", "stage", "amount", "close_on", "forecast_category", "probability_rate", "is_deleted")
CANNOT_BE_EMPTY = ("owner_id", "stage", "close_on")
KEYS = {
    "opportunities": ("opportunity_id", "extracted_at"),
    "opportunity_history": ("opportunity_id", "changed_at", "field"),
    "opportunity_states": ("opportunity_id", "changed_at"),
}
INSTANTS = ("extracted_at", "modified_at", "changed_at", "recorded_at")
Row = dict[str, Any]


@dataclass
class Landed:
    """One content of a key: the row, and when it contradicted the one before (None: it did not)."""

    row: Row
    corrected_at: datetime | None


@dataclass
class Replay:
    """Everything that landed, in order, and by the slow rules what was known of any instant at any other."""

    contents: dict[str, dict[tuple[Any, ...], list[Landed]]] = field(
        default_factory=lambda: {table: {} for table in KEYS}
    )
    claims: list[datetime] = field(default_factory=list)
    clock: datetime = BEGIN

    def land(self, table: str, rows: list[Row]) -> None:
        moments = [row[name] for row in rows for name in INSTANTS if row.get(name) is not None]
        self.clock = max([self.clock, *moments])
        for row in rows:
            known = self.contents[table].setdefault(tuple(row[name] for name in KEYS[table]), [])
            if known and known[-1].row == row:
                continue
            is_late = self.clock > row[KEYS[table][1]]
            corrects = bool(known) and is_late and contradicts(known[-1].row, row, table)
            known.append(Landed(row, self.clock if corrects else None))

    def in_force(self, table: str, deal: str, then: datetime) -> list[Row]:
        return [
            [one.row for one in known if one.corrected_at is None or one.corrected_at <= then][-1]
            for key, known in self.contents[table].items()
            if key[0] == deal
        ]

    def state(self, deal: str, day: datetime, then: datetime) -> Row | None:
        """What was known at ``then`` of the deal on ``day``; None when it did not exist yet."""
        extracts = sorted(self.in_force("opportunities", deal, then), key=lambda row: row["extracted_at"])
        if not extracts:
            return None
        base = extracts[0]
        usable = [base, *(row for row in extracts[1:] if row["extracted_at"] <= then)]
        changes = [
            *self._changes("opportunity_history", deal, then, base["extracted_at"]),
            *self._changes("opportunity_states", deal, then, base["extracted_at"]),
        ]
        changes.sort(key=lambda change: (change[0], change[1]["order"]))
        told = self._told(usable, changes, then)
        if day < min(moment for moment, _, _ in told):
            return None
        state = {}
        for name in FIELDS:
            said = [(moment, order, value) for moment, order, what in told for value in of(what, name) if moment <= day]
            state[name] = max(said, key=lambda one: one[:2])[2]
        return state | {"is_deleted": bool(state["is_deleted"])}

    def _changes(self, table: str, deal: str, then: datetime, seen_at: datetime) -> list[tuple[datetime, Row]]:
        """(instant, change); one recorded only after ``then`` is of that later instant."""
        found: dict[tuple[Any, ...], tuple[datetime, Row]] = {}
        for row in sorted(self.in_force(table, deal, then), key=lambda row: row["changed_at"]):
            moment = row["changed_at"]
            recorded_at = row.get("recorded_at")
            is_late = recorded_at is not None and recorded_at > max(moment, then)
            moment = recorded_at if is_late else moment
            if moment > then and not (seen_at > then and moment <= seen_at):
                continue
            if table == "opportunity_history":
                name = row["field"]
                change = {"order": 3, name: typed(name, row["new_value"]), "was": {name: before(row)}}
            else:
                said = {name: row[name] for name in FIELDS if row.get(name) is not None}
                change = {"order": 2, **said, "was": said}
            key = (moment, is_late, row.get("field"), None if is_late else row["changed_at"])
            found.setdefault(key, (moment, change))
        return list(found.values())

    def _told(
        self, usable: list[Row], changes: list[tuple[datetime, Row]], then: datetime
    ) -> list[tuple[datetime, int, Row]]:
        """(instant, precedence, what was said of which fields)."""
        base = usable[0]
        early = [change for change in changes if change[0] <= base["extracted_at"]]
        born_at = min([at(str(base["created_on"])), *(moment for moment, _ in early)])
        birth = {name: base[name] for name in FIELDS}
        touched: set[str] = set()
        for _, change in early:
            birth |= {name: value for name, value in change["was"].items() if name not in touched}
            touched |= set(change["was"])
        if "stage" not in touched and base["stage"] in CLOSED:
            birth["stage"] = None
        told = []
        if "is_deleted" not in touched and base["is_deleted"]:
            deleted_at = min(base["modified_at"], base["extracted_at"])
            birth["is_deleted"] = False
            if deleted_at <= then and deleted_at < base["extracted_at"]:
                told.append((deleted_at, 4, {"is_deleted": True}))
        told.append((born_at, 1, birth))
        told += [(moment, change["order"], change) for moment, change in changes if moment <= then]
        previous: Row | None = None
        for row in usable:
            seen_at = row["extracted_at"]
            if seen_at <= then:
                shown = {name: row[name] for name in FIELDS if name != "is_deleted" or row[name] is not None}
                told.append((seen_at, 4, shown))
            closing = closing_of(row, previous, changes)
            if closing is not None and closing <= then:
                only = FIELDS[:-1] if previous is not None else ("stage",)
                told.append((closing, 4, {name: row[name] for name in only}))
            previous = row
        for row, after in zip(usable, [*usable[1:], None], strict=True):
            missing = [
                moment
                for moment in self.claims
                if moment <= then and row["extracted_at"] < moment and (not after or moment < after["extracted_at"])
            ]
            if missing:
                told.append((min(missing), 5, {"is_deleted": True}))
                if after is not None and after["is_deleted"] is None:
                    told.append((after["extracted_at"], 5, {"is_deleted": False}))
        return told


def of(what: Row, name: str) -> list[Any]:
    return [what[name]] if name in what else []


def contradicts(known: Row, row: Row, table: str) -> bool:
    if table == "opportunity_history":
        was = known["old_value"] is not None and row["old_value"] not in (None, known["old_value"])
        return was or known["new_value"] != row["new_value"]
    names = [*FIELDS, "created_on"] if table == "opportunities" else FIELDS
    return any(known.get(name) is not None and row.get(name) not in (None, known[name]) for name in names)


def before(row: Row) -> Any:
    if row["old_value"] is None and row["field"] in CANNOT_BE_EMPTY:
        return typed(row["field"], row["new_value"])
    return typed(row["field"], row["old_value"])


def typed(name: str, text: str | None) -> Any:
    if text is None:
        return None
    kinds: dict[str, Any] = {
        "amount": Decimal,
        "close_on": lambda value: at(value).date(),
        "probability_rate": float,
        "is_deleted": lambda value: value == "true",
    }
    return kinds.get(name, str)(text)


def closing_of(row: Row, previous: Row | None, changes: list[tuple[datetime, Row]]) -> datetime | None:
    """Since when an extract's row is closed though nothing before it says so."""
    if row["stage"] not in CLOSED:
        return None
    stages = [
        (moment, change["stage"])
        for moment, change in changes
        if "stage" in change
        and moment <= row["extracted_at"]
        and (previous is None or moment > previous["extracted_at"])
    ]
    if stages:
        is_said = stages[-1][1] == row["stage"] or stages[-1][1] in CLOSED
    else:
        is_said = previous is not None and previous["stage"] in CLOSED
    if is_said:
        return None
    own = min(at(str(row["close_on"])) + timedelta(seconds=86_399), row["modified_at"], row["extracted_at"])
    floors = [at(str(row["created_on"])), own, *(moment for moment, _ in stages[-1:])]
    return max([*floors, *([previous["extracted_at"] + timedelta(seconds=1)] if previous else [])])


def a_file(
    random: Random, company: list[Any], past: list[tuple[str, list[Row]]], now: datetime
) -> tuple[str, list[Row]]:
    """One of the files that a company may bring at ``now``, which has minutes of its own."""
    some = random.sample(company, random.randrange(2, len(company)))
    kind = random.choice(["extract", "extract", "full", "changes", "states", "late", "late", "mended", "again"])
    if kind in ("mended", "again") and past:
        table, rows = random.choice(past)
        return (table, rows) if kind == "again" else (table, [mended(random, table, row) for row in rows])
    if kind in ("extract", "full"):
        states = random.random() < 0.5
        rows = [deal.row(now, now) for deal in (company if kind == "full" else some) if deal.born_at <= now]
        gone = random.choice(company).opportunity_id if kind == "full" else None
        return ("opportunities" if kind == "extract" else "full"), [
            stating(row) | ({} if states else {"is_deleted": None}) for row in rows if row["opportunity_id"] != gone
        ]
    if kind == "states":
        rows = [row | {"recorded_at": None} for deal in some for row in deal.state_history(now)]
        # A state on an instant of its own: two that tell of one instant agree or not, and that is tested elsewhere.
        return "opportunity_states", [row | {"changed_at": row["changed_at"] + timedelta(seconds=1)} for row in rows]
    rows = [row | {"recorded_at": None} for deal in some for row in deal.field_history(now)]
    if kind == "late":
        rows = [late(random, row, now) for row in rows]
    return "opportunity_history", rows


def stating(row: Row) -> Row:
    """An extract's row without an empty field: whether its file states that field is another test's matter."""
    instead = {"amount": Decimal(5), "forecast_category": "pipeline", "probability_rate": 0.5}
    return row | {name: value for name, value in instead.items() if row[name] is None}


def late(random: Random, row: Row, now: datetime) -> Row:
    """A change of the past that is written down only now."""
    moment = row["changed_at"] - timedelta(minutes=random.randrange(1, 60), seconds=2)
    value = str(random.randrange(1, 99)) + ".25" if row["field"] == "amount" else row["new_value"]
    return row | {"changed_at": moment, "new_value": value, "recorded_at": now}


def mended(random: Random, table: str, row: Row) -> Row:
    if random.random() < 0.5:
        return row
    if table == "opportunity_history":
        return row | ({"new_value": str(random.randrange(1, 99)) + ".50"} if row["field"] == "amount" else {})
    if table == "opportunity_states":
        return row | {"forecast_category": "best_case"}
    return row | {"owner_id": "dee", "amount": row["amount"] + 1}


def bring(workspace: Workspace, replay: Replay, table: str, rows: list[Row]) -> None:
    is_full = table == "full"
    table = "opportunities" if is_full else table
    if not rows:
        return
    land(workspace, table, rows)
    replay.land(table, rows)
    if is_full:
        with Landing.open(workspace) as landing:
            landing.claim_full(rows[0]["extracted_at"])
        replay.claims.append(rows[0]["extracted_at"])


@FEW
@given(seed=st.integers(0, 1_000_000))
def test_what_was_known_of_any_day_on_any_other_replays(seed: int) -> None:
    random = Random(seed)
    company = a_company(random, deals=7)
    hours = sorted(random.sample(range(24 * 20, SPAN_HOURS), 7))
    files: list[tuple[str, list[Row]]] = []
    replay = Replay()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        land(workspace, "stages", STAGES)
        nows = [BEGIN + timedelta(hours=hour, minutes=7 + place) for place, hour in enumerate(hours)]
        if random.random() < 0.4:
            random.shuffle(nows)  # files come in any order
        for now in nows:
            table, rows = a_file(random, company, files, now)
            bring(workspace, replay, table, rows)
            files.append(("opportunities" if table == "full" else table, rows))
        bring(workspace, replay, "opportunities", [stating(company[0].row(TODAY, TODAY))])
        thens = [replay.clock, *(random.choice(nows) + random.choice([timedelta(0), -EPS]) for _ in range(3))]
        with prepared(workspace) as built:
            assert built.as_of_at == replay.clock
            tellings = {then: by_deal(built.versions(then)) for then in thens}
            assert {key: len(rows) for key, rows in by_deal(built.versions()).items()} == {
                key: len(rows) for key, rows in tellings[thens[0]].items()
            }
            seen = by_deal(built.engine.frame("select * from seen_versions"))
        for then, versions in tellings.items():
            for deal in company:
                for day in days(random, replay, deal.opportunity_id, then):
                    agree(replay, versions, deal.opportunity_id, day, then)
        for deal in company:
            for day in days(random, replay, deal.opportunity_id, thens[0]):
                agree(replay, seen, deal.opportunity_id, day, day)
        then = thens[1]
        try:
            with prepared(workspace, then) as built:
                as_of = by_deal(built.versions())
        except EditionError:
            return
        for deal in as_of:
            assert [untimed(row) for row in as_of[deal]] == [untimed(row) for row in tellings[then][deal]], then


EPS = timedelta(microseconds=1)


def days(random: Random, replay: Replay, deal: str, then: datetime) -> list[datetime]:
    edges = [
        row[name]
        for table in KEYS
        for row in replay.in_force(table, deal, then)
        for name in INSTANTS
        if row.get(name) is not None
    ]
    edges += [BEGIN + timedelta(hours=random.randrange(SPAN_HOURS)) for _ in range(6)]
    return [day for edge in random.sample(edges, min(8, len(edges))) for day in (edge, edge - EPS) if day <= then]


def agree(replay: Replay, versions: dict[str, list[Row]], deal: str, day: datetime, then: datetime) -> None:
    expected = replay.state(deal, day, then)
    found = [row for row in versions.get(deal, []) if row["valid_from_at"] <= day < row["valid_to_at"]]
    assert len(found) == (expected is not None), (deal, day, then, expected, found)
    if expected is not None:
        assert {name: found[0][name] for name in FIELDS} == expected, (deal, day, then)
        assert found[0]["is_closed"] is (expected["stage"] in CLOSED)


def untimed(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "reporting_amount"}


def test_by_pencil_as_reported_as_corrected_and_as_frozen(tmp_path: Path) -> None:
    """Sold for 100 in Q2, frozen on 8 July; in August somebody writes down that it was 80 from May on, and in
    September the row of the sale comes as a loss."""
    workspace = Workspace(tmp_path / "workspace")
    deal = {"opportunity_id": "d1", "owner_id": "ann", "created_on": "2026-04-10", "close_on": "2026-06-20"}
    land(workspace, "stages", STAGES)
    land(workspace, "opportunities", [deal | {"stage": "Signed", "amount": "80"}])
    sale = {"opportunity_id": "d1", "changed_at": "2026-06-20 10:00", "field": "stage", "old_value": "Proposal"}
    late = {"opportunity_id": "d1", "changed_at": "2026-05-01 10:00", "field": "amount", "old_value": "100"}
    land(workspace, "opportunity_history", [sale | {"new_value": "Signed"}])
    land(workspace, "opportunity_history", [late | {"new_value": "80", "recorded_at": "2026-08-03 09:00"}])
    land(workspace, "activities", [{"opportunity_id": "d1", "occurred_at": "2026-10-01"}])
    land(workspace, "opportunity_history", [sale | {"changed_at": "2026-09-02 10:00", "new_value": "Signed"}])
    land(workspace, "opportunity_history", [sale | {"new_value": "Dropped"}])
    with prepared(workspace) as built:

        def amounts(recorded_at: str) -> list[tuple[datetime, Decimal | None, str]]:
            columns = ("valid_from_at", "amount", "stage")
            return built.versions(at(recorded_at)).select(columns).rows()  # type: ignore[no-any-return]

        assert built.as_of_at == at("2026-10-01")
        before = [(at("2026-04-10"), Decimal(100), "Proposal")]
        assert amounts("2026-06-01") == before
        assert amounts("2026-07-08") == [*before, (at("2026-06-20 10:00"), Decimal(100), "Signed")]
        fallen = [*before, (at("2026-05-01 10:00"), Decimal(80), "Proposal")]
        assert amounts("2026-08-03 09:00") == [*fallen, (at("2026-06-20 10:00"), Decimal(80), "Signed")]
        lost = (at("2026-06-20 10:00"), Decimal(80), "Dropped")
        assert amounts("2026-10-01") == [*fallen, lost, (at("2026-09-02 10:00"), Decimal(80), "Signed")]
        won = built.engine.frame("select amount, period_start_on from won_deals").rows()
        told = corrected_values(built).drop("opportunity_id").rows()
    assert won == [(Decimal(100), at("2026-04-01").date())], "what was frozen stays"
    assert told == [
        (at("2026-08-03 09:00"), "amount", at("2026-05-01 10:00"), "100.00", "80.00"),
        (at("2026-10-01"), "stage", at("2026-06-20 10:00"), "Signed", "Dropped"),
    ]


def test_a_file_read_again_through_another_mapping_corrects_our_reading_and_not_the_past(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    deal = {"opportunity_id": "d1", "owner_id": "ann", "created_on": "2026-04-10", "close_on": "2026-06-20"}
    land(workspace, "opportunities", [deal | {"stage": "Proposal", "extracted_at": "2026-10-01"}])
    change = {"opportunity_id": "d1", "changed_at": "2026-05-01", "field": "amount", "old_value": "1"}
    for mapping, value in (("first", "1.234"), ("second", "1234")):
        with Landing.open(workspace) as landing:
            rows = accepted("opportunity_history", [change | {"new_value": value}])
            landing.land(
                file_name="h.csv",
                table="opportunity_history",
                mapping_name=mapping,
                sha256="same",
                batches=[(rows, no_rejects())],
            )
    with prepared(workspace) as built:
        assert built.engine.frame("select * from version_corrections").is_empty()
        assert built.versions(at("2026-06-01"))["amount"].to_list() == [Decimal(1), Decimal(1234)]


def test_what_was_not_stated_before_corrects_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    deal = {"opportunity_id": "d1", "owner_id": "ann", "created_on": "2026-04-10", "close_on": "2026-06-20"}
    state = {"opportunity_id": "d1", "changed_at": "2026-05-01", "stage": "Proposal"}
    land(workspace, "opportunities", [deal | {"stage": "Proposal", "extracted_at": "2026-10-01"}])
    land(workspace, "opportunity_states", [state])
    land(workspace, "opportunity_states", [state | {"amount": "70"}])
    with prepared(workspace) as built:
        assert built.engine.frame("select * from version_corrections").is_empty()
        assert Decimal(70) in built.versions(at("2026-06-01"))["amount"].to_list()
