"""The Value added page in words: steps of judgement, overrides, probabilities. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import language, theme
from dashboard.wording import bold, how_often, plain
from pipelines.engine.value_added import VERDICT_LEVEL

STEPS = {
    "naive_last_year": "Last year's same period",
    "naive_last_period": "Repeating the last period",
    "stage_weighted": "Pipeline × probability",
    "rep_rollup": "Reps' calls, added up",
    "manager": "Managers",
    "executive": "Executives",
    "half_and_half": "Half executive, half model",
    "model": "Our model",
}
SPOKEN = {
    "naive_last_year": "last year's same period, grown",
    "naive_last_period": "repeating the last period",
    "stage_weighted": "pipeline × probability",
    "rep_rollup": "the reps' calls added up",
    "manager": "the managers' calls",
    "executive": "the executives' calls",
    "half_and_half": "half executive, half model",
    "model": "our model",
}
VERDICTS = {
    "adds_value": "comes nearer",
    "hurts": "goes farther off",
    "no_detectable_effect": "no detectable effect",
    "not_enough_evidence": "too few periods to say",
}
SOURCES = {"stage_default": "Stage defaults", "rep": "Reps' own", "model": "Our model"}
PEOPLE = {"rep_rollup": "Reps", "manager": "Managers", "executive": "Executives"}
TESTS = {
    "level_bias": "Do calls lean?",
    "slope": "Are big calls too big?",
    "revision": "Is news taken in fully?",
    "change": "Has the lean changed?",
    "cusum": "Is it changing now?",
}

Row = Mapping[str, Any]


def title(steps: Sequence[Row], *, has_judgement: bool, team: str | None = None) -> str:
    """The finding: managers against what came before them, else the highest step of judgement that can be judged.

    A single ``team`` gets no finding in its title: of many teams, some look good or bad by chance.
    """
    if not has_judgement:
        return "No step of judgement can be compared yet"
    if team is not None:
        return f"{team}: how each step of the forecast has done"
    judged = [row for row in steps if row["step"] in PEOPLE and row["reference_step"] in STEPS]
    managers = next((row for row in judged if row["step"] == "manager"), judged[-1])
    who, against = PEOPLE[managers["step"]], SPOKEN[managers["reference_step"]]
    return {
        "adds_value": f"{who} bring the number nearer than {against}",
        "hurts": f"{who} take the number farther off than {against}",
        "no_detectable_effect": f"{who}: not shown to come nearer than {against}",
    }.get(managers["direction"], f"{who}: too few periods to say whether they help")


def step_sentence(row: Row, noun: str, currency: str) -> str:
    """One step against the one before: whether it helps, and off by how much instead of how much."""
    name = STEPS[row["step"]]
    ours, theirs = theme.money(row["mae_amount"], currency), theme.money(row["reference_mae_amount"], currency)
    n = theme.plural(row["period_count"], noun)
    text = f"Off by {ours} on average, {SPOKEN[row['reference_step']]} by {theirs} ({n})"
    chance = ""
    if row["p_value"] is not None and row["status"] == "ok":
        chance = f"; by chance alone as far apart {_odds(row['p_value'])}"
    return f"{bold(name)}: {VERDICTS[row['direction']]}. {text}{chance}."


def _odds(p_value: float) -> str:
    """A p-value as a frequency: ``about 1 time in 60``, ``more than every second time``."""
    if p_value > 0.45:
        return "every second time or more"
    return f"about 1 time in {theme.count(max(2, round(1 / p_value)))}"


def teams_sentence(rows: Sequence[Row], noun: str) -> str | None:
    """The same team by team: a company's error may shrink because its teams' errors cancel out."""
    row = next((row for row in rows if row["step"] == "manager" and row["reference_step"] == "rep_rollup"), None)
    if row is None:
        return None
    return (
        f"Team by team, managers against their own reps: {VERDICTS[row['direction']]} "
        f"over {theme.plural(row['period_count'], noun)}."
    )


def teams_remark(worded: int, judged: int) -> str | None:
    """What a word for one team is worth: how many of them chance alone would hand out."""
    if judged == 0:
        return None
    chance = theme.decimal(judged * (1 - VERDICT_LEVEL), 1)
    return (
        f"Of {theme.plural(judged, 'team')} with enough history, {worded or 'none'} "
        f"{'has' if worded <= 1 else 'have'} a manager whose calls differ from the reps' beyond chance; about {chance} "
        "would by chance alone. One team's word is a question, not a verdict."
    )


def ratio_sentence(rows: Sequence[Row]) -> str | None:
    """AvgRelMAE in words, of managers against their reps."""
    row = next((row for row in rows if row["step"] == "manager" and row["reference_step"] == "rep_rollup"), None)
    if row is None or row["average_relative_mae_rate"] is None:
        return None
    ratio = row["average_relative_mae_rate"]
    teams = theme.plural(row["team_count"], "team")
    if abs(ratio - 1) < 0.005:
        return f"Averaged over {teams}, a manager's error is as large as that of the team's reps added up."
    word = "smaller" if ratio < 1 else "larger"
    return (
        f"Averaged over {teams}, a manager's error is {theme.percent(abs(1 - ratio))} {word} than the reps' added up."
    )


def stairs_caption(level: float, scale: str | None) -> str:
    of_what = "of quota" if scale == "target" else "of what usually lands"
    return (
        f"How much nearer to what landed each step came than the one above it, in percent {of_what}; lines hold the "
        f"gain {how_often(level)}. A line across 0 is no detectable effect (hollow)."
    )


def stairs_alt(rows: Sequence[Row], currency: str) -> str:
    said = [
        f"{STEPS[row['step']]} off by {theme.money(row['mae_amount'], currency)}, "
        f"{gain(row['fva_rate'])} against {SPOKEN[row['reference_step']]}, {VERDICTS[row['direction']]}"
        for row in rows
    ]
    return "Steps of the forecast: " + "; ".join(said) + "."


def gain(rate: float | None) -> str:
    """``3.8 % nearer``, ``1.2 % farther off``."""
    if rate is None:
        return theme.MISSING
    size = theme.percent(abs(rate), 1)
    return f"{size} {'nearer' if rate > 0 else 'farther off'}" if size != theme.percent(0.0, 1) else "as near"


def pair_row(row: Row, currency: str) -> list[str | None]:
    ends = theme.MISSING if row["lower"] is None else theme.percent_range(row["lower"], row["upper"], 1)
    return [
        STEPS[row["step"]],
        SPOKEN[row["reference_step"]],
        theme.money(row["mae_amount"], currency),
        theme.money(row["reference_mae_amount"], currency),
        theme.percent(row["fva_rate"], 1, signed=True),
        ends,
        theme.count(row["period_count"]),
        VERDICTS[row["direction"]],
    ]


PAIR_COLUMNS = ("Off by", "Before, off by", "Gain", "Range", "Periods")


def week_row(row: Row, currency: str) -> list[str | None]:
    return [
        f"Week {row['week_of_period']}: {STEPS[row['step']].lower()}",
        SPOKEN[row["reference_step"]],
        theme.money(row["mae_amount"], currency),
        theme.money(row["reference_mae_amount"], currency),
        VERDICTS[row["direction"]],
    ]


def override_sentences(rows: Sequence[Row], currency: str) -> list[str]:
    """What managers and executives changed, and what it brought: raised and lowered, in money a period."""
    said = []
    for step in ("manager", "executive"):
        for word in ("raised", "lowered"):
            row = next(
                (
                    row
                    for row in rows
                    if row["step"] == step and row["override_direction"] == word and row["size_band"] == "all"
                ),
                None,
            )
            if row is not None:
                said.append(_override(row, word, currency))
    return said


def _override(row: Row, word: str, currency: str) -> str:
    who = PEOPLE[row["step"]]
    times = theme.plural(row["override_count"], "time")
    helped = f"{theme.count(row['helped_count']) if row['helped_count'] else 'none'} of them brought the number nearer"
    text = f"{bold(f'{who} {word}')} the number {times}; {helped}"
    if row["status"] != "ok":
        return f"{text}. Too few periods to say more."
    size = theme.money(abs(row["mean_amount"]), currency)
    way = "nearer" if row["mean_amount"] > 0 else "farther off"
    verdict = {"adds_value": "it helps", "hurts": "it hurts"}.get(row["direction"], "no detectable effect")
    return f"{text}, on average {size} {way}: {verdict}."


def override_row(row: Row, currency: str) -> list[str | None]:
    ends = theme.MISSING
    if row["lower_amount"] is not None:
        ends = f"{theme.money(row['lower_amount'], currency)} to {theme.money(row['upper_amount'], currency)}"
    size = {"all": "any size", "small": "under 5 %", "middle": "5–15 %", "large": "over 15 %"}[row["size_band"]]
    return [
        f"{PEOPLE[row['step']]} {row['override_direction'].replace('all', 'either way')}, {size}",
        theme.count(row["override_count"]),
        theme.count(row["helped_count"]),
        theme.money(row["mean_amount"], currency, signed=True),
        ends,
        {"adds_value": "helps", "hurts": "hurts"}.get(row["direction"], VERDICTS[row["direction"]]),
    ]


def calibration_title(source: str, week: int | None, figures: Row, noun: str, *, hindsight: bool) -> str:
    """Whose probability, of what, and whether it is true; ``hindsight``: they seem to have known the outcome."""
    name = SOURCES.get(source, source)
    what = f"won in the {noun}" if week is not None else "won at all"
    if figures["status"] == "refused_as_leak":
        return f"{name}: refused, they knew the outcome"
    if hindsight:
        return f"{name}, {what}: given with hindsight"
    word = {
        "runs_high": "run high",
        "runs_low": "run low",
        "fair": "are true on average",
    }.get(figures["direction"], "cannot be judged yet")
    if figures["status"] == "ok" and word == "cannot be judged yet":
        word = "no lean shown"
    return f"{name}, {what}: {word}"


def calibration_sentence(source: str, figures: Row, money: Row | None, noun: str) -> str:
    """Predicted against observed, by count and by money, and whether the probabilities are too bold."""
    if figures["status"] == "refused_as_leak":
        return (
            "These probabilities part won from lost deals better than anybody could know beforehand "
            f"({theme.percent(figures['separation_rate'])}): they were filled in, or carried back, after the outcome."
        )
    deals = f"{theme.plural(figures['total_count'], 'deal')} over {theme.plural(figures['period_count'], noun)}"
    if figures["gap_rate"] is None:
        return f"{deals}: too few to say."
    text = f"On average {_points(figures['gap_rate'])} ({deals}"
    if figures["gap_lower"] is not None:
        text += f"; {_point_range(figures['gap_lower'], figures['gap_upper'])}, {how_often(figures['level'])}"
    text += ")"
    if money is not None and money["gap_rate"] is not None:
        text += f"; by money {_points(money['gap_rate'])}"
    slope, lower, upper = figures["cox_slope"], figures["cox_slope_lower"], figures["cox_slope_upper"]
    bold_or_timid = ""
    if slope is not None and lower is not None:
        if upper < 1:
            bold_or_timid = " High ones are too high and low ones too low (over-confident)."
        elif lower > 1:
            bold_or_timid = " High ones are too low and low ones too high (over-cautious)."
    unrated = ""
    if figures["unrated_count"]:
        unrated = f" {theme.plural(figures['unrated_count'], 'deal')} had no probability."
    return f"{text}.{bold_or_timid}{unrated}"


def _points(gap: float) -> str:
    points = round(abs(gap) * 100)
    if points == 0:
        return "as many are won as promised"
    return bold(f"{theme.plural(points, 'point')} too {'high' if gap > 0 else 'low'}")


def _point_range(lower: float, upper: float) -> str:
    low, high = theme.decimal(lower * 100, 0, signed=True), theme.decimal(upper * 100, 0, signed=True)
    return f"{low} to {high} points"


def calibration_alt(source: str, bins: Sequence[Row]) -> str:
    said = [
        f"given {theme.percent(row['predicted_rate'])}, {theme.percent(row['observed_rate'])} of "
        f"{theme.plural(row['deal_count'], 'deal')} won"
        for row in bins
    ]
    return f"{SOURCES.get(source, source)}: " + "; ".join(said) + "."


SCORE_COLUMNS = (
    "Deals",
    "Score (Brier)",
    "Untrue",
    "p",
    "Tells apart",
    "Given luck",
    "Line: intercept",
    "Line: slope",
    "Spiegelhalter z",
)
SCORES_NOTE = (
    "Score = untrue − tells apart + given luck; low is good. p: how often true probabilities would look this untrue. "
    "On the line, true probabilities have intercept 0 and slope 1; ranges are by {noun}, {often}. Beyond ±2 the z says "
    "that the score is not what such probabilities promise (it takes deals as independent)."
)


def score_row(source: str, week: int | None, weighting: str, figures: Row, noun: str) -> list[str | None]:
    """One source's figures, by count or by money; a missing one is a dash."""
    what = f"won in the {noun}" if week is not None else "won at all"
    line = (
        _ranged(figures[f"cox_{part}"], figures[f"cox_{part}_lower"], figures[f"cox_{part}_upper"])
        for part in ("intercept", "slope")
    )
    return [
        f"{SOURCES.get(source, source)}, {what}, by {weighting}",
        theme.count(figures["total_count"]),
        *(
            theme.decimal(figures[name], 3)
            for name in ("brier", "miscalibration", "miscalibration_p_value", "discrimination", "uncertainty")
        ),
        *line,
        theme.decimal(figures["spiegelhalter_z"], 1, signed=True),
    ]


def _ranged(value: float | None, lower: float | None, upper: float | None) -> str:
    if value is None:
        return theme.MISSING
    if lower is None or upper is None:
        return theme.decimal(value, 2)
    return f"{theme.decimal(value, 2)} ({theme.decimal(lower, 2)} to {theme.decimal(upper, 2)})"


CALIBRATION_CAPTION = (
    "Across: the probability given. Up: the share won, with its range. On the diagonal a probability is true; the "
    "shaded band is where true ones could lie by chance (9 times in 10). Larger marks are more deals."
)


def leak_sentence(row: Row) -> str:
    """A field that knows too much, by name."""
    deals = theme.plural(row["won_count"] + row["lost_count"], "deal")
    share = (
        f"in {theme.percent(row['separation_rate'])} of pairs ({theme.percent(row['lower'])} to "
        f"{theme.percent(row['upper'])}, 95 times in 100; {deals})"
    )
    opened = row["seen"] == "when_opened"
    if row["status"] == "refused_as_leak":
        since = (
            ", from the day they were opened: it cannot have been known then"
            if opened
            else (": it cannot have been known before they ended")
        )
        return f"{bold(row['field'])} tells won from lost deals {share}{since}, and is refused as a leak."
    text = (
        f"{bold(row['field'])} tells won from lost deals {share}, which is more than fields known beforehand do: look "
        "at when it is filled in."
    )
    weighs = opened and row["field"] in ("stage", "probability_rate")
    return f"{text} Pipeline × probability is left out." if weighs else text


THEIL = {
    "level_share": "A lean, the same on every call",
    "slope_share": "Big calls against small ones",
    "noise_share": "Neither: deals and luck",
}


def theil_title(rows: Mapping[str, Row]) -> str:
    """Whether the error is one that a correction of the calls would remove, beyond doubt or not."""
    noise = rows["noise_share"]
    if noise["lower"] is None or noise["lower"] <= 0.5 <= noise["upper"]:
        return "What the error of calls is made of"
    if noise["estimate"] > 0.5:
        return "Most of the error is no lean: correcting calls cannot remove it"
    return "Most of the error is one that correcting the calls would remove"


def theil_sentence(rows: Mapping[str, Row], noun: str) -> str:
    """Theil's three parts with their ranges; they add up to all of the squared error."""
    said = [
        f"{bold(theme.percent(row['estimate']))} {word}{_share_range(row)}"
        for row, word in (
            (rows["level_share"], "is a lean that one correction of all calls would remove"),
            (rows["slope_share"], "is big calls being off more or less than small ones"),
            (rows["noise_share"], "is neither, and no rule of this kind removes it"),
        )
    ]
    first = rows["noise_share"]
    calls = f"{theme.plural(first['pair_count'], 'call')} of {theme.plural(first['period_count'], noun)}"
    return f"Of the squared error of {calls}, {said[0]}; {said[1]}; {said[2]}."


def _share_range(row: Row) -> str:
    if row["lower"] is None:
        return ""
    return f" ({theme.percent_range(row['lower'], row['upper'])}, {how_often(row['level'])})"


def theil_alt(rows: Mapping[str, Row], noun: str) -> str:
    return plain(f"{theil_title(rows)}. {theil_sentence(rows, noun)}")


def test_sentence(row: Row, noun: str) -> str:
    """One test of past calls as a question and what was found."""
    question = bold(TESTS[row["test"]])
    if row["status"] == "not_enough_history":
        needed = "twelve" if row["test"] in ("change", "cusum") else "six"
        return f"{question} {needed.capitalize()} {noun}s are needed, {row['period_count']} are there."
    if row["status"] != "ok" or row["direction"] is None:
        return f"{question} Cannot be told from these calls."
    since = f" since {theme.month(row['from_period_on'])}" if row["from_period_on"] is not None else ""
    answer = {
        "runs_high": "Yes, high.",
        "runs_low": "Yes, low.",
        "too_steep": "Yes: big calls are too big, small ones too small.",
        "too_flat": "No, the other way: big calls are too small.",
        "off_the_line": "Calls as a whole do not match what lands.",
        "anchoring": "No: when a call moves, it should have moved farther.",
        "over_reaction": "Too much: when a call moves, it moves too far.",
        "rose": f"Yes, calls run higher{since}.",
        "fell": f"Yes, calls run lower{since}.",
        "no_detectable_effect": "Nothing beyond chance.",
    }.get(row["direction"], "Cannot be told yet.")
    return f"{question} {answer}"


def without_judgement(noun: str, *, has_calls: bool) -> list[str]:
    """Why no step of judgement can be compared, and what would change that."""
    if has_calls:
        return [
            f"Calls have landed, and none can be held against another way of forecasting the same {noun} yet: that "
            f"needs two closed {noun}s, or calls of managers beside those of their reps."
        ]
    return [
        "No calls have landed, so nobody's judgement can be held against what came before it.",
        f"Bring forecast submissions, or a sheet with one row per forecaster and {noun}, with forecast-trust ingest; a "
        "hierarchy (people) tells managers' calls from their reps'.",
    ]


SAME_PROBABILITIES = (
    "The CRM's own probabilities are the defaults of the stages: nobody has set one by hand, so both are judged at "
    "once."
)
NO_PROBABILITIES = (
    "No probability can be judged yet: that needs deals with a probability, or stages with a default, that were due "
    "in a closed period."
)


language.take(__name__, globals())
