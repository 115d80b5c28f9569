"""Two companies for the comparison of engines: one simulated, and one where everything that may differ does.

The ugly one: random deals exported three times with corrections and deletions between, and by hand what no random
draw brings: ids and names beyond ASCII, quotes, backslashes and wildcards; texts that only look like days, flags and
numbers; two sources of one instant; amounts whose conversion ends on half a cent; a circle of managers; a re-opened
deal, a deleted one, one without an amount; a currency without a rate, and another one that changes.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse.landing import Landing
from tests.test_history import a_company, everything
from tests.warehouse_help import at, land, land_all

IDS = ("Ünï-ß", "日本-1", "o'quote", 'd"q', "a\\b", "x%_y", " lead", "émile", "Zoë", "a-b", "a=b", "ab")


def _hand_made(extracted_at: str, amounts: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "opportunity_id": name,
            "owner_id": ["ann", "bob", "Çağ", "o'brien"][number % 4],
            "created_on": "2026-01-05",
            "close_on": "2026-06-30" if number % 3 else "2026-09-30",
            "stage": ["Discovery", "Signed", "Dropped", "Closed - no decision"][number % 4],
            "amount": amounts[number % len(amounts)],
            "currency": ["USD", "EUR", "JPY", None][number % 4],
            "probability_rate": [0.0005, 1.0, 0.1, None, 0.00001, 0.3333333333333333][number % 6],
            "forecast_category": ["commit", None, "pipeline"][number % 3],
            "name": f"{name} — «deal»\t{number}",
            "account_name": name.upper(),
            "next_step": None if number % 2 else 'call, "then" write',
            "outcome_reason": "Went dark" if number % 4 == 2 else None,
            "is_won": True if number == 5 else None,
            "is_deleted": number == 7,
            "modified_at": f"{extracted_at[:10]} 10:00:00.123456",
            "extracted_at": extracted_at,
        }
        for number, name in enumerate(IDS)
    ]


def _changes() -> list[dict[str, Any]]:
    told = [
        ("Ünï-ß", "2026-02-01 09:00", "amount", "80.5", "1234.567"),
        ("Ünï-ß", "2026-02-02 09:00", "amount", "1234.567", "a lot"),
        ("Ünï-ß", "2026-02-03 09:00", "amount", None, None),
        ("日本-1", "2026-02-01 09:00", "close_on", "2026-03-31", "2026-02-29"),
        ("日本-1", "2026-02-02 09:00", "close_on", "2026-03-31", "2024-02-29"),
        ("日本-1", "2026-02-03 09:00", "close_on", "2024-02-29", "2026-04-31"),
        ("日本-1", "2026-02-04 09:00", "close_on", "2024-02-29", "2100-02-29"),
        ("日本-1", "2026-02-05 09:00", "close_on", "2024-02-29", "tomorrow"),
        ("o'quote", "2026-02-01 09:00", "currency", "USD", "EUR"),
        ("o'quote", "2026-05-01 09:00", "currency", "EUR", "JPY"),
        ("o'quote", "2026-05-02 09:00", "currency", "JPY", "CHF"),
        ('d"q', "2026-02-01 09:00", "probability_rate", "0.2", "1.5"),
        ('d"q', "2026-02-02 09:00", "probability_rate", "0.2", "0.00005"),
        ('d"q', "2026-02-03 09:00", "probability_rate", "0.2", "high"),
        ("a\\b", "2026-03-01 09:00", "is_deleted", "false", "true"),
        ("a\\b", "2026-03-05 09:00", "is_deleted", "true", "perhaps"),
        ("a\\b", "2026-03-09 09:00", "is_deleted", "true", "false"),
        ("x%_y", "2026-03-01 09:00", "stage", "Discovery", "Signed"),
        ("x%_y", "2026-04-01 09:00", "stage", "Signed", "Proposal"),
        ("x%_y", "2026-05-01 09:00:00.000001", "stage", "Proposal", "Signed"),
        ("émile", "2026-03-01 09:00", "forecast_category", "pipeline", "certainly"),
        ("émile", "2026-03-02 09:00", "owner_id", "Çağ", "ann"),
        ("émile", "2026-03-02 09:00", "amount", "100.10", "100.1"),
        ("Zoë", "2026-03-02 09:00", "owner_id", "bob", None),
        ("nobody", "2026-03-02 09:00", "stage", "Discovery", "Signed"),
    ]
    names = ("opportunity_id", "changed_at", "field", "old_value", "new_value")
    return [dict(zip(names, row, strict=True)) for row in told]


def ugly(root: Path) -> Workspace:
    workspace = Workspace(root)
    random = Random(11)
    deals = a_company(random, deals=40)
    for extracted_at in ("2026-04-30 20:00", "2026-08-31 20:00", "2026-11-09 20:00"):
        until = at(extracted_at)
        land_all(workspace, everything(Random(12), deals, until, until))
    land_all(
        workspace,
        {
            "stages": [{"stage": "Closed - no decision", "stage_order": 9, "is_closed": True, "is_won": False}],
            "opportunity_history": _changes(),
            "opportunity_states": [
                {"opportunity_id": "x%_y", "changed_at": "2026-03-01 09:00", "stage": "Proposal", "amount": "77.77"},
                {"opportunity_id": "Zoë", "changed_at": "2026-03-02 09:00", "stage": "Signed", "probability_rate": 0.9},
                {"opportunity_id": "ab", "changed_at": "2026-04-02 09:00", "close_on": "2026-12-31", "owner_id": "bob"},
            ],
            "fx_rates": [
                {"currency": "USD", "valid_from_on": "2020-01-01", "rate_to_reporting": "1"},
                {"currency": "JPY", "valid_from_on": "2026-01-01", "rate_to_reporting": "0.00615500"},
                {"currency": "JPY", "valid_from_on": "2026-06-01", "rate_to_reporting": "0.00640005"},
            ],
            "people": [
                {"person_id": "Çağ", "name": "Çağ Öz", "manager_id": "o'brien", "valid_from_on": "2026-01-01"},
                {"person_id": "o'brien", "name": "O'Brien", "manager_id": "Çağ", "valid_from_on": "2026-03-01"},
                {"person_id": "max", "name": "Max", "manager_id": "Ωmega", "valid_from_on": "2026-02-01"},
                {"person_id": "Ωmega", "name": "Ω", "team": "A", "region": "Ω", "hired_on": "2020-02-29"},
            ],
            "bookings": [
                {"booking_id": "b1", "booked_on": "2026-07-02", "amount": "100.05", "currency": "EUR",
                 "opportunity_id": "日本-1", "recorded_at": "2026-07-03"},
                {"booking_id": "b1", "booked_on": "2026-07-02", "amount": "-0.05", "currency": "JPY",
                 "opportunity_id": "日本-1", "recorded_at": "2026-07-09"},
                {"booking_id": "b2", "booked_on": "2026-07-05", "amount": "10", "account_name": "ÜNÏ-SS"},
            ],
            "forecast_records": [
                {"forecaster_id": "Çağ", "period_start_on": "2026-04-01", "forecast_amount": "10.5",
                 "actual_amount": "-3", "week_of_period": 4},
                {"forecaster_id": "ann", "period_start_on": "2026-04-07", "forecast_amount": "1", "actual_amount": "2"},
            ],
            "leads": [
                {"lead_id": "l1", "created_on": "2025-12-31", "opportunity_id": "Zoë"},
                {"lead_id": "l2", "created_on": "2026-01-09", "opportunity_id": "ab"},
            ],
        },
    )  # fmt: skip
    land(workspace, "opportunities", _hand_made("2026-06-01 08:00:00", [100.05, -0.15, None, 0, "99999999999.99"]))
    land(workspace, "opportunities", _hand_made("2026-10-01 08:00:00.5", [None, 33.33, -1000.25]))
    _correct(workspace)
    return workspace


def _correct(workspace: Workspace) -> None:
    """What was told is told otherwise: changes of known instants, an extract taken again, changes written down late,
    states of before; and a full extract that lacks some deals, all but one of which come back."""
    told = {"opportunity_id": "Ünï-ß", "field": "amount", "old_value": "80.5"}
    late = {"opportunity_id": "o'quote", "field": "stage", "new_value": "Signed"}
    land_all(
        workspace,
        {
            "opportunity_history": [
                told | {"changed_at": "2026-02-01 09:00", "new_value": "99.9"},
                late | {"changed_at": "2026-02-07 09:00", "recorded_at": "2026-07-01 09:00:00.25"},
                late | {"changed_at": "2026-02-05 09:00", "recorded_at": "2026-07-01 09:00:00.25", "new_value": "x"},
                late | {"changed_at": "2026-02-05 09:00", "recorded_at": "2026-12-01", "field": "owner_id"},
            ],
            "opportunity_states": [
                {"opportunity_id": "ab", "changed_at": "2026-04-02 09:00", "close_on": "2026-11-30", "owner_id": "ann"},
                {"opportunity_id": "ab", "changed_at": "2026-05-02", "amount": 5, "recorded_at": "2026-09-01"},
            ],
            "opportunities": _hand_made("2026-06-01 08:00:00", [7, None]),
        },
    )
    land(workspace, "opportunities", _hand_made("2026-10-09 08:00:00", [1, 2])[:9])
    land(workspace, "opportunities", _hand_made("2026-10-10 08:00:00", [3, 4])[:11])
    with Landing.open(workspace) as landing:
        landing.claim_full(at("2026-10-09 08:00:00"))


def simulated(root: Path) -> Workspace:
    """Through the same door as a customer's files: field history and state history of the same instants."""
    workspace = Workspace(root / "workspace")
    simulate(root / "exports", reps=5, quarters=3, seed=3, layout="salesforce", progress=Silent())
    exports = [path for path in sorted((root / "exports").iterdir()) if path.is_file() and path.suffix != ".json"]
    runs.ingest(workspace, exports, Silent())
    return workspace
