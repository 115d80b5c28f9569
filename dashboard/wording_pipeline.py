"""The Pipeline page in words: every sentence, label and title about deals and rates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import language, theme
from dashboard.wording import TITLE_LENGTH, bold, how_often

SHARES = {
    "win_rate_count": "Won, of deals closed",
    "win_rate_amount": "Won, of money closed",
    "win_rate_cohort": "Won, of deals created",
    "no_decision_rate": "Closed without a decision",
    "missing_reason_rate": "Not won, no reason given",
    "stage_regression_rate": "Went back a stage",
    "inherited_rate": "Closed, had changed owner",
    "slipped_rate": "Due, not closed in time",
    "pushed_rate": "Open, pushed at least once",
    "past_due_rate": "Open, close date passed",
    "no_next_step_rate": "Open, no next step",
    "stalled_rate": "Open, nothing happening",
    "ageing_rate": "Open, older than won deals",
    "top_five_share": "Due, in the five largest",
}
"""Measure → label, in the order they are drawn."""

SPLITS = {
    "win_rate_by_motion": ("sales motion", "motion"),
    "win_rate_by_lead_source": ("lead source", "source"),
    "win_rate_by_handoff": ("age of the lead at hand-off", "hand-off"),
    "win_rate_by_pushes": ("pushes before closing", "pushes"),
    "win_rate_by_owner": ("change of owner", "owner"),
    "win_rate_by_tenure": ("seller's tenure", "tenure"),
}

RATES = {
    "win_rate": "Win rate",
    "no_decision_share": "Closed without a decision",
    "coverage_needed": "Coverage needed",
    "cycle_days": "Days to win",
    "stage_conversion": "Going on from",
}
STABILITY = {
    "stable": ("stable", ":material/horizontal_rule:"),
    "drifting": ("drifting", ":material/trending_flat:"),
    "jumpy": ("jumpy", ":material/ssid_chart:"),
    "too_little_data": ("too little data", ":material/hourglass_empty:"),
}
FLAGS = {
    "past_due": "close date passed",
    "pushed": "pushed",
    "no_next_step": "no next step",
    "stalled": "nothing happening",
}

Row = Mapping[str, Any]


def opened(text: str) -> str:
    """The first letter large, the rest as it stands: a person's name keeps its own."""
    return text[:1].upper() + text[1:]


def why(flags: str) -> str:
    """``past_due,pushed`` as ``close date passed, pushed``."""
    return ", ".join(FLAGS.get(flag, flag) for flag in flags.split(","))


def item_label(measure: str, item: str) -> str:
    """What the deals of one line of a split have in common."""
    if measure == "win_rate_by_pushes":
        return {"0": "never pushed", "1": "pushed once", "2": "pushed twice"}.get(item, f"pushed {item}")
    if measure == "win_rate_by_handoff":
        return "lead aged " + item.partition(": ")[2]
    if measure == "win_rate_by_owner":
        return {"kept": "one owner throughout", "inherited": "changed owner while open"}.get(item, item)
    if measure == "win_rate_by_tenure":
        return {"first year": "seller in the first year", "longer": "seller longer here"}.get(item, item)
    return item


def times(ratio: float | None) -> str:
    """``2.2 times``."""
    return theme.MISSING if ratio is None else f"{theme.decimal(ratio, 1)} times"


def before(row: Row, written: Any) -> str | None:
    """What the last four periods were: ``it was 1.5 to 1.8``; null where none is known."""
    known = [row[f"previous_{number}"] for number in range(1, 5) if row[f"previous_{number}"] is not None]
    if not known:
        return None
    low, high = written(min(known)), written(max(known))
    return low if low == high else f"{low.removesuffix(' times')} to {high}"


def title(measures: Mapping[str, Row], noun: str, *, has_deals: bool) -> str:
    """The finding of the page: coverage against its own past, else how many deals are won, else what is missing."""
    if not has_deals:
        return "No deals have landed, so there is no pipeline to judge"
    row = measures.get("coverage_remaining", {})
    if row.get("status") == "quota_reached":
        return f"The quota of this {noun} is reached: nothing is left to cover"
    if row.get("estimate") is not None:
        return f"Open deals cover {times(row['estimate'])} what is missing to quota{_than_usual(row)}"
    row = measures.get("win_rate_count", {})
    if row.get("estimate") is not None:
        return f"{theme.percent(row['estimate'])} of deals that close are won; no quota says how much is needed"
    return "Open deals are known, and none has closed yet"


def _than_usual(row: Row) -> str:
    """Beyond, within or below what the four periods before were at the same week; nothing where they are not known."""
    known = [row[f"previous_{number}"] for number in range(1, 5) if row[f"previous_{number}"] is not None]
    if len(known) < 4:
        return ""
    return (
        ", more than usual"
        if row["estimate"] > max(known)
        else ", less than usual"
        if row["estimate"] < min(known)
        else ", as usual"
    )


def sentences(measures: Mapping[str, Row], noun: str, currency: str) -> list[str]:
    """What the pipeline's state is, one fact a sentence, the weightiest first; only what is known is said."""
    said = [
        _coverage(measures, noun, currency),
        _won(measures, noun),
        _cycle(measures.get("cycle_days")),
        _slipped(measures.get("slipped_rate"), noun),
        _hygiene(measures),
        _ageing(measures.get("ageing_rate")),
        _concentration(measures),
        _no_decision(measures),
        _handoff(measures.get("handoff_days")),
    ]
    return [sentence for sentence in said if sentence]


def _known(row: Row | None) -> bool:
    return row is not None and row["estimate"] is not None


def share(rate: float) -> str:
    """A share in whole percent; a few are never written as none."""
    return f"under {theme.percent(0.01)}" if 0 < rate < 0.005 else theme.percent(rate)


def _range(row: Row) -> str:
    if row["lower"] is None:
        return ""
    ends = theme.percent_range(row["lower"], row["upper"])
    return f" ({ends}, {how_often(row['level'])})"


def _coverage(measures: Mapping[str, Row], noun: str, currency: str) -> str | None:
    row = measures.get("coverage_quota")
    if row is None or row["status"] == "no_deals" or row["amount"] is None:
        return None
    money = f"{bold(theme.money(row['amount'], currency))} in {theme.plural(row['deal_count'], 'deal')} is due"
    if row["estimate"] is None:
        return f"{money} this {noun}. No quota has landed, so coverage cannot be said."
    missing = measures.get("coverage_remaining")
    usual = None if missing is None or missing["estimate"] is None else before(missing, times)
    past = f" At this week of past {noun}s, deals covered {usual} what was missing." if usual else ""
    return f"{money} this {noun}; with what is won, that is {bold(times(row['estimate']))} the whole quota.{past}"


def _won(measures: Mapping[str, Row], noun: str) -> str | None:
    counted, money = measures.get("win_rate_count"), measures.get("win_rate_amount")
    if counted is None or not _known(counted):
        return None
    text = f"Of deals closed lately, {bold(share(counted['estimate']))} were won{_range(counted)}"
    if money is not None and _known(money):
        text += f"; of the money, {bold(share(money['estimate']))}{_range(money)}"
    past = before(counted, theme.percent)
    return f"{text}. Single {noun}s: {past}." if past else f"{text}."


def _cycle(row: Row | None) -> str | None:
    if row is None or not _known(row):
        return None
    ends = f" ({row['lower']:.0f}–{row['upper']:.0f})" if row["lower"] is not None else ""
    return (
        f"Half of the deals won took more than {bold(theme.plural(round(row['estimate']), 'day'))}{ends} from creation."
    )


def _slipped(row: Row | None, noun: str) -> str | None:
    if row is None or not _known(row):
        return None
    slipped = bold(share(row["estimate"]))
    return f"Of deals open at this week and due, {slipped} were not closed by the {noun}'s end{_range(row)}."


def _hygiene(measures: Mapping[str, Row]) -> str | None:
    parts = {
        "past_due_rate": "have a close date that has passed",
        "no_next_step_rate": "no next step",
        "stalled_rate": "saw nothing happen lately",
        "pushed_rate": "were pushed at least once",
    }
    said = [
        f"{bold(share(measures[name]['estimate']))} {text}"
        for name, text in parts.items()
        if name in measures and _known(measures[name])
    ]
    return f"Of open deals, {', '.join(said)}." if said else None


def _ageing(row: Row | None) -> str | None:
    if row is None or not _known(row):
        return None
    return (
        f"{bold(share(row['estimate']))} of open deals are older than four in five won deals were when they "
        "left the same stage; one in five would be usual among deals that win."
    )


def _concentration(measures: Mapping[str, Row]) -> str | None:
    top, even = measures.get("top_five_share"), measures.get("hhi")
    if top is None or even is None or not _known(top) or not even["estimate"]:
        return None
    return (
        f"The five largest deals hold {bold(share(top['estimate']))} of what is due: as concentrated as "
        f"{theme.plural(max(1, round(1 / even['estimate'])), 'deal')} of equal size."
    )


def _no_decision(measures: Mapping[str, Row]) -> str | None:
    none, silent = measures.get("no_decision_rate"), measures.get("missing_reason_rate")
    if silent is None or not _known(silent):
        return None
    if silent["estimate"] >= 1:
        return "No deal that was not won says why: whether buyers decide against us or not at all cannot be told."
    if none is None or not _known(none):
        return f"Of deals not won, {bold(share(silent['estimate']))} give no reason."
    return (
        f"{bold(share(none['estimate']))} of closed deals ended without a decision; of those not won, "
        f"{bold(share(silent['estimate']))} give no reason."
    )


def _handoff(row: Row | None) -> str | None:
    if row is None or not _known(row):
        return None
    return f"Half of the leads became deals within {bold(theme.plural(round(row['estimate']), 'day'))}."


def table_row(label: str, row: Row) -> list[str | None]:
    """Measure, now, range, deals, the four before (latest first), as written in the table."""
    unit = row["unit"]

    def written(value: float | None) -> str:
        if value is None:
            return theme.MISSING
        return theme.percent(value) if unit == "rate" else times(value) if unit == "ratio" else f"{value:.0f} days"

    ends = theme.MISSING
    if row["lower"] is not None:
        ends = (
            theme.percent_range(row["lower"], row["upper"])
            if unit == "rate"
            else f"{row['lower']:.0f}–{row['upper']:.0f} days"
        )
    past = " · ".join(written(row[f"previous_{number}"]) for number in range(1, 5))
    now = written(row["estimate"]) if row["estimate"] is not None else UNKNOWN.get(row["status"], theme.MISSING)
    return [label, now, ends, theme.count(row["deal_count"]), past]


UNKNOWN = {
    "no_deals": "no deals",
    "not_recorded": "not recorded",
    "no_quota": "no quota",
    "quota_reached": "quota reached",
}
TABLE = {
    "coverage_remaining": "Coverage of what is missing",
    "coverage_quota": "Coverage of the whole quota",
    **SHARES,
    "cycle_days": "Days to win, median",
    "handoff_days": "Days from lead to deal, median",
}


def shares_title(rows: Sequence[Row]) -> str:
    """The finding of the shares: which stands farthest above its own past four."""
    above = []
    for row in rows:
        known = [row[f"previous_{number}"] for number in range(1, 5) if row[f"previous_{number}"] is not None]
        if len(known) == 4 and row["lower"] is not None and (row["lower"] > max(known) or row["upper"] < min(known)):
            above.append(row)
    if not above:
        return "No share lies clearly outside of its last four"
    if len(above) == 1:
        return f"One share lies outside of its last four: {_lower(above[0]['label'])}"
    return f"{len(above)} shares lie clearly outside of their last four"


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]


def shares_caption(level: float, noun: str) -> str:
    return (
        f"Dot: now, or the last four {noun}s together. Line: where the share lies {how_often(level)}. Ticks: the four "
        f"{noun}s before, one by one; for open deals at the same week."
    )


def shares_alt(rows: Sequence[Row]) -> str:
    said = [f"{row['label']} {theme.percent(row['estimate'])}" for row in rows]
    return "Shares of the pipeline: " + "; ".join(said) + "."


def pacing_title(rows: Sequence[Row], noun: str, currency: str) -> str:
    """What is open and due in this period, beside the earlier ones at the same week."""
    now = [row for row in rows if row["is_now"]][-1]
    week = now["week_of_period"]
    before = [row["amount"] for row in rows if not row["is_now"] and row["week_of_period"] == week]
    said = f"Open and due, week {week}: {theme.money(now['amount'], currency)}"
    if not before:
        return f"{said}; no earlier {noun} to compare"
    below = sum(amount < now["amount"] for amount in before)
    if len(before) == 1:
        return f"{said}, {'more' if below else 'no more'} than the {noun} before"
    if below == len(before):
        return f"{said}, the most of {len(before) + 1} {noun}s"
    if all(amount > now["amount"] for amount in before):
        return f"{said}, the least of {len(before) + 1} {noun}s"
    return f"{said}, more than in {below or 'none'} of {len(before)} {noun}s before"


def pacing_caption(noun: str) -> str:
    return (
        f"Deals open at each week's end with a close date in the {noun}: this {noun} strong, the earlier ones thin. "
        f"The last point of a {noun} that is over is its end."
    )


def pacing_alt(rows: Sequence[Row], currency: str) -> str:
    last = {row["label"]: row for row in rows}
    said = [
        f"{label} {theme.money(row['amount'], currency)} at week {row['week_of_period']}" for label, row in last.items()
    ]
    return "Open and due in each period, by week: " + "; ".join(said) + "."


def splits_caption(level: float) -> str:
    return (
        f"Win rate of deals closed in the last four periods; lines hold the rate {how_often(level)}. A difference "
        "is not a cause: deals lost early never get pushed or change hands."
    )


def reasons_title(rows: Sequence[Row]) -> str:
    """The commonest reason, if it is one beyond doubt."""
    if len(rows) > 1 and rows[0]["lower"] > rows[1]["upper"]:
        title = f"Most often not won for one reason: {rows[0]['item']}"
        if len(title) <= TITLE_LENGTH:
            return title
    return "Why deals are not won, as far as anybody says"


def reasons_caption(silent: Row | None, level: float) -> str:
    """What the shares are of, how many deals give no reason, and whose word it is."""
    text = f"Of the deals not won lately that give a reason, the share with this one; lines hold it {how_often(level)}."
    if silent is not None and _known(silent):
        text += (
            f" {share(silent['estimate'])} of {theme.plural(silent['deal_count'], 'deal')} give none "
            f"({theme.percent_range(silent['lower'], silent['upper'])})."
        )
    return f"{text} It is the seller's word for why a buyer said no."


def rate_name(measure: str, item: str | None) -> str:
    """``Win rate``, ``Win rate, consultative``, ``Going on from Proposal``."""
    name = RATES[measure]
    if item is None:
        return name
    return f"{name} {item}" if measure == "stage_conversion" else f"{name}, {item}"


def rate_written(measure: str, value: float | None) -> str:
    if value is None:
        return theme.MISSING
    if measure == "coverage_needed":
        return times(value)
    return f"{value:.0f} days" if measure == "cycle_days" else theme.percent(value)


def rate_range(measure: str, lower: float | None, upper: float | None) -> str:
    if lower is None or upper is None:
        return theme.MISSING
    if measure == "coverage_needed":
        return f"{theme.decimal(lower, 1)}–{times(upper)}"
    return f"{lower:.0f}–{upper:.0f} days" if measure == "cycle_days" else theme.percent_range(lower, upper)


def rates_title(words: Sequence[str]) -> str:
    """How many of the rates people plan with may be planned with."""
    if not words:
        return "No rate has a history yet"
    if set(words) == {"too_little_data"}:
        return "Too little data to call any rate constant"
    parts = [
        f"{words.count(word)} {text}"
        for word, text in (("jumpy", "jump"), ("drifting", "drift"), ("too_little_data", "cannot be judged"))
        if words.count(word)
    ]
    stable = words.count("stable")
    lead = f"{stable} of {len(words)} rates {'is' if stable == 1 else 'are'} stable" if stable else "No rate is stable"
    return f"{lead}; {', '.join(parts)}" if parts else lead


def rate_sentence(measure: str, verdict: Row, noun: str) -> str:
    """What may be planned with, and why."""
    usual = rate_written(measure, verdict["overall"])
    ahead = rate_range(measure, verdict["next_lower"], verdict["next_upper"])
    n = theme.plural(verdict["period_count"], noun)
    plan = f"Plan with {bold(ahead)} for the next {noun}"
    direction = verdict["direction"]
    if direction == "stable":
        return f"{usual} over {n}, no more apart than chance. {plan}."
    if direction == "jumpy":
        return f"{usual} over {n}, but they differ by more than chance. {plan}, not with one number."
    if direction == "drifting":
        way = "rising" if verdict["drift_rate"] > 0 else "falling"
        of_what = "" if measure in ("coverage_needed", "cycle_days") else " in odds"
        return f"{way.capitalize()} by {theme.percent(abs(verdict['drift_rate']))} a year{of_what}. {plan}."
    if verdict["status"] == "inconclusive":
        return f"{usual} over {n}; neither a steady nor a moving rate can be shown. {plan}."
    if verdict["status"] == "one_outcome":
        return "Every deal ended the same way, so there is no rate to speak of."
    return f"{usual} over {n}; six {noun}s of thirty deals are needed for a word."


def rate_alt(name: str, measure: str, rows: Sequence[tuple[str, float | None]]) -> str:
    said = "; ".join(f"{label} {rate_written(measure, value)}" for label, value in rows)
    return f"{name} per period: {said}."


RATES_CAPTION = (
    "Dots: single periods with their ranges. Grey: how far single periods usually lie apart (Laney's limits); a "
    "diamond is outside. Bar at the right: where the next period should land."
)


def no_deals(noun: str) -> list[str]:
    """What the page needs when there is no deal at all."""
    return [
        f"This page speaks of deals: what is open, what is due this {noun}, what becomes of it.",
        "Bring an export of opportunities with forecast-trust ingest; with a stage history this page also shows which "
        "conversion rates hold, and with quotas how much pipeline is needed.",
    ]


def missing(*, has_history: bool, has_quotas: bool) -> list[str]:
    """What a missing table would bring."""
    said = []
    if not has_history:
        said.append(
            "No history of changes has landed: pushes, stage conversion and ageing need opportunity_history or "
            "repeated extracts."
        )
    if not has_quotas:
        said.append("No quotas have landed: coverage needs them.")
    return said


def deals_title(flagged: int, total: int) -> str:
    if total == 0:
        return "No deal is open"
    if flagged == 0:
        return f"None of {theme.plural(total, 'open deal')} asks for a look"
    return (
        f"{theme.count(flagged)} of {theme.plural(total, 'open deal')} {'is' if flagged == 1 else 'are'} worth a look"
    )


language.take(__name__, globals())
