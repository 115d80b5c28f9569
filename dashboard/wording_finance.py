"""What finance carries, in words: the bridge from sales' call, plan beside range, calls beside the books. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.filters import calls_label
from dashboard.wording import bold, how_often

STEPS = {
    "call": ("sales' call", "the call in force, of the layer and kind chosen above"),
    "lean": ("lean", "what calls like it missed by on average, moves of dates set aside"),
    "timing": ("timing", "deals pulled in less deals pushed out, on average"),
    "deals": ("open deals", "what the range, which knows the deals open today, says beyond the average"),
    "landing": ("landing", "the middle of the range the period lands in"),
    "bookings_lag": ("bookings lag", "won but booked in another period, less what comes from others"),
    "bookings_breaks": ("never booked", "won and not booked, in part, credits, less bookings without a deal"),
    "currency": ("currency", "rates of exchange between closing and booking"),
    "carry": ("carry", "what finance should carry as booked in the period"),
}

BOOK_STEPS = {
    "miss_amount": ("miss", "closed won less called; the Miss page explains it"),
    "crm_amount": ("closed won", "what the CRM counts as won in the period"),
    "from_other_periods_amount": ("from other periods", "booked in the period, won in another"),
    "to_other_periods_amount": ("to other periods", "won in the period, booked in another"),
    "unbooked_amount": ("not booked", "won and not booked, or still awaited"),
    "differing_amount": ("differing", "booked in part, above or twice"),
    "credit_amount": ("credits", "credit notes"),
    "rate_amount": ("exchange rate", "rates between closing and booking"),
    "unmatched_amount": ("without a deal", "booked without a won deal: the company's alone"),
}

STEP_COLUMNS = ("Amount", "Between", "Level", "Periods")
SPAN_COLUMNS = ("Plan", "Call", "Middle", "1 in 2", "4 in 5", "9 in 10", "Closed won", "Booked")

STATUSES = {
    "ok": "",
    "no_call": "no call",
    "not_enough_history": "not enough history",
    "not_told": "not told apart from lean",
    "partial": "without the steps that are not known",
    "none": "not known",
    "no_actual": "nothing known of what they won",
    "no_rate": "an amount that no rate converts",
    "before_books": "before the books begin",
    "not_booked_yet": "the books do not reach the period's end yet",
    "no_range": "",
    "split": "by close dates of open deals",
    "not_split": "no open deal says when",
    "plan_only": "not begun",
}

METHOD = (
    "A step with an interval is an average over closed periods: a ratio of sums with a t interval, one period one "
    "observation. A single period scatters more.",
    "The range of the landing and of the number to carry is of the period itself. The books' own scatter is added "
    "to the landing's as squares.",
    "Months inside a running period are the middle of its range: what has landed, and the rest by the close dates "
    "of open deals and their chances. They have no range of their own; deals yet to be created are taken to follow "
    "them.",
    "Plan, call and range belong to the period and are not split into months.",
    "Plus adds to the number, minus takes from it. A step without enough history has no amount and is left out.",
)

TIE_RULES = (
    "A booking belongs to the won deal it names; one that names several won deals is split over them by their "
    "amounts, whatever their accounts.",
    "Of the rest, a booking and a won deal of one account belong together if amount and date agree within the "
    "tolerances of the policy; then several bookings to one deal, then one booking to several deals of that "
    "account. Nothing is matched across accounts without ids.",
    "A booking without its own id is set aside on the Data page with its money; one id is one line: recorded again, "
    "the later row replaces the earlier, and of two rows of one file the later stands and the other is set aside.",
    "A credit is a negative booking. Where credits exceed what was booked, the deal is over-credited, and its books "
    "are below zero as they stand.",
    "A deal with two bookings or more, each of its whole amount, is booked twice: both stay in the books.",
    "A deal won lately, or after the last day the books tell of, is awaited, not missing: a period may close before "
    "its bookings arrive.",
    "Foreign amounts are converted at the rate of the day; what rates did between closing and booking is its own line.",
)


def carry_title(label: str, carry: Decimal | None, call: Decimal | None, currency: str) -> str:
    """The finding, at most 70 characters."""
    if carry is None:
        return f"{label}: not enough history for a number to carry" if label else "No period is running to project"
    if call is None:
        return f"{label}: carry {theme.money(carry, currency)}; nobody called"
    apart = carry - call
    if theme.money(carry, currency) == theme.money(call, currency):
        return f"{label}: carry {theme.money(carry, currency)}, as called"
    side = "below" if apart < 0 else "above"
    return f"{label}: carry {theme.money(carry, currency)}, {theme.money(abs(apart), currency)} {side} the call"


def carry_sentence(steps: Mapping[str, Mapping[str, Any]], layer: str, category: str, currency: str) -> str:
    """Number and range at equal weight, then the largest steps between."""
    carry, call = steps["carry"], steps["call"]
    if carry["amount"] is None:
        alone = "nobody called." if call["amount"] is None else "the call stands alone."
        return f"Neither a range nor a record of calls is there yet; {alone}"
    said = (
        f"Of {calls_label(layer, category)} at {bold(theme.money_full(call['amount'], currency))}, "
        if call["amount"] is not None
        else ""
    )
    ends = ""
    if carry["lower"] is not None:
        ends = f", {how_often(carry['level'])} between {bold(str(_between(carry['lower'], carry['upper'], currency)))}"
    counted = f" ({theme.plural(carry['period_count'], 'closed period')})" if carry["period_count"] else ""
    unknown = [STEPS[name][0] for name, row in steps.items() if row["status"] == "not_enough_history"]
    missing = f" Not known for want of history and left out: {', '.join(unknown)}." if unknown else ""
    sentence = f"{said}carry {bold(theme.money_full(carry['amount'], currency))}{ends}{counted}."
    return sentence[:1].upper() + sentence[1:] + missing


def step_rows(steps: Sequence[Mapping[str, Any]], currency: str) -> list[tuple[str | None, ...]]:
    """Step, why, amount, interval, level, periods."""
    return [
        (
            STEPS[row["step"]][0].capitalize(),
            STEPS[row["step"]][1] + (f" ({STATUSES[row['status']]})" if STATUSES[row["status"]] else ""),
            theme.money_full(row["amount"], currency, signed=row["step"] not in ("call", "landing", "carry")),
            _between(row["lower"], row["upper"], currency),
            theme.percent(row["level"]) if row["lower"] is not None else None,
            theme.count(row["period_count"]) if row["period_count"] is not None else None,
        )
        for row in steps
    ]


def carry_alt(steps: Sequence[Mapping[str, Any]], label: str, currency: str) -> str:
    told = [
        f"{STEPS[row['step']][0]} {theme.money(row['amount'], currency)}" for row in steps if row["amount"] is not None
    ]
    return f"From sales' call to the number to carry in {label}: {', '.join(told)}."


def span_rows(spans: Sequence[Mapping[str, Any]], currency: str) -> list[tuple[str | None, ...]]:
    """Span, plan, call, middle, the three ranges, closed won, booked, remark."""
    return [
        (
            span_name(row),
            *(
                theme.money_full(row[name], currency, cents=False)
                for name in ("plan_amount", "call_amount", "estimate")
            ),
            *(_range(row, percent, currency) for percent in (50, 80, 90)),
            *(theme.money_full(row[name], currency, cents=False) for name in ("crm_amount", "booked_amount")),
            "; ".join(filter(None, ("" if row["is_closed"] else "so far", STATUSES[row["status"]]))) or None,
        )
        for row in spans
    ]


def span_name(row: Mapping[str, Any]) -> str:
    """``Q4 2026``, or a month of it."""
    if row["span_kind"] == "month":
        return theme.month(row["span_start_on"])
    if row["span_kind"] == "quarter":
        return f"Quarter from {theme.month(row['span_start_on'])}"
    return str(row["label"])


def spans_caption(whose: tuple[str, str] | None, week: int | None, noun: str, source: str) -> str:
    at = "" if week is None else f", as said at week {week}"
    calls = "" if whose is None else f"Calls: {calls_label(*whose)}{at}. "
    landed = "booked" if source == "bookings" else "closed won"
    return (
        f"{calls}Ranges: as issued then, held against what was {landed}. Plan and ranges are of the {noun} and are not "
        "split; a running month is the middle by close dates of open deals, without a range of its own."
    )


def call_tie_title(label: str, company: Mapping[str, Any], currency: str) -> str:
    """The finding, at most 70 characters."""
    call, booked = company.get("call_amount"), company.get("booked_amount")
    if call is None or booked is None:
        return f"{label}: calls cannot be held against the books"
    if call == booked:
        return f"{label}: called and booked agree to the cent"
    side = "above" if call > booked else "below"
    return f"{label}: calls stood {theme.money(abs(call - booked), currency)} {side} the books"


def call_tie_sentence(company: Mapping[str, Any], currency: str) -> str:
    """Call, closed won and booked, and that every row adds up."""
    if company.get("status") not in ("ok", "no_call"):
        return f"The company's way to the books is not told: {STATUSES[str(company.get('status', 'no_actual'))]}."
    told = {name: bold(theme.money_full(company[f"{name}_amount"], currency)) for name in ("crm", "booked")}
    called = (
        "nobody called"
        if company["call_amount"] is None
        else f"{bold(theme.money_full(company['call_amount'], currency))} was called"
    )
    return (
        f"At the lock {called}, {told['crm']} closed won, {told['booked']} was booked in the period. Every row below "
        "adds up from call to booked, to the cent."
    )


def call_tie_alt(company: Mapping[str, Any], label: str, currency: str) -> str:
    told = [
        f"{BOOK_STEPS[name][0]} {theme.money(company[name], currency, signed=name != 'crm_amount')}"
        for name in BOOK_STEPS
        if company.get(name) is not None and company[name] != 0
    ]
    return (
        f"From the call of {theme.money(company.get('call_amount'), currency)} to the "
        f"{theme.money(company.get('booked_amount'), currency)} booked in {label}: {', '.join(told) or 'no step'}."
    )


def book_heads() -> dict[str, str]:
    """Column of the tie-out of calls → its heading."""
    return {name: word.capitalize() for name, (word, _) in BOOK_STEPS.items()}


def no_bridge() -> str:
    return (
        "No call of this layer and kind was made for a running period, so there is no bridge to a number to carry. "
        "Choose other calls above, or publish again when calls have landed."
    )


def no_calls(layer: str) -> str:
    names = {"rep": "reps", "manager": "managers", "executive": "executives", "finance": "finance"}
    return f"No call of {names[layer]} in a closed period can be held against the books."


def _between(lower: Decimal | None, upper: Decimal | None, currency: str) -> str | None:
    """A minus is never taken for the dash of a range."""
    if lower is None or upper is None:
        return None
    if lower < 0 or upper < 0:
        return f"{theme.money(lower, currency)} to {theme.money(upper, currency, signed=True)}"
    return theme.money_range(lower, upper, currency)


def _range(row: Mapping[str, Any], percent: int, currency: str) -> str | None:
    lower, upper = row[f"lower_{percent}"], row[f"upper_{percent}"]
    return _between(lower, upper, currency)


language.take(__name__, globals())
