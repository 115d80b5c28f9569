"""The numbers we chose, each with its reason. A change of any of them bumps METHOD_VERSION."""

from __future__ import annotations

from dataclasses import asdict, dataclass

METHOD_VERSION = "3"

COMPANY_SCOPE = "company"


@dataclass(frozen=True)
class Policy:
    """Every choice behind a published number. Frozen, passed explicitly, written into each edition."""

    lock_week: int = 3
    """Week of the period whose call labels are given for: late enough to be meant, early enough to matter."""

    grace_days: int = 7
    """Days after a period's end until its actual is frozen: deals signed on the last day are entered late."""

    horizon_weeks: tuple[tuple[str, int], ...] = (
        ("start", 0),
        ("lock", 3),
        ("middle", 6),
        ("late", 9),
        ("end", 12),
    )
    """Horizon buckets bias is published for; one week each, so that no bucket pools looks at one quarter."""

    level: float = 0.80
    """Level of the published intervals: 4 in 5 is a share people can picture and plan for."""

    min_periods_value: int = 2
    """Closed periods before a forecaster's value is shown at all (greyed)."""

    min_periods_label: int = 6
    """Closed periods before a forecaster may be labelled: below it 1 flag in 6 has the wrong sign."""

    min_deals_label: int = 10
    """Called deals (won deals where deals are known) before a label: fewer say nothing about a lean."""

    min_periods_company: int = 4
    """Closed periods before the company's interval is shown."""

    min_periods_accuracy: int = 4
    """Closed periods before skill against naive is spoken of."""

    tau_prior_scale: float = 0.5
    """HalfNormal scale of the between-forecaster spread (Röver 2020); narrower priors lose coverage."""

    tau_points: int = 121
    """Grid points over the between-forecaster spread, quadratically spaced."""

    variance_power: float = 1.5
    """Variance of a quarter's actual ∝ call to this power: between number-of-deals (1) and size² (2)."""

    flag_mean_lfsr: float = 0.05
    """The labelled set's mean local false sign rate may not exceed this (Stephens 2017)."""

    flag_each_lfsr: float = 0.10
    """No single label with a local false sign rate above this."""

    fair_zone: float = 0.10
    """A forecaster is fair when within ±10 % ..."""

    fair_probability: float = 0.80
    """... with at least this probability."""

    unforecast_share: float = 0.10
    """Revenue landed without any call is remarked on above this share of a forecaster's actual."""

    half_life_periods: float | None = None
    """Weight of older periods halves every so many periods; off until a team has ten."""

    stale_days: int = 14
    """Days between the newest recorded fact and the period's today after which data are stale."""

    inactive_days: int = 30
    """Days without activity after which an open deal is called stalled."""

    match_days: int = 45
    """Days between winning and booking within which two records may be one sale: a billing cycle and a half."""

    match_amount_rate: float = 0.01
    """Difference, as a share of the opportunity, that still counts as agreeing: rounding, rates of exchange ..."""

    match_amount_cents: int = 100
    """... and never less than this many cents."""

    books_gap_days: int = 31
    """Days into its first period by which the books must begin for that period to count as booked: later, and what was
    booked in it before is unknown."""

    movement_periods: int = 5
    """Periods whose pipeline movement is told: the running one and the four before, a year of quarters to compare with;
    older ones stand in older editions, so that an edition does not grow with history."""

    no_decision_pattern: str = r"no.?decision|no.?response|went dark|stalled|status quo|abandoned"
    """Words in a closed deal's stage or reason that mean the buyer decided nothing, rather than for somebody else."""

    def as_rows(self) -> list[dict[str, str]]:
        """One row per choice: ``name``, ``value``, for the edition's ``policy`` table and its digest."""
        return [{"name": name, "value": repr(value)} for name, value in sorted(asdict(self).items())]


DEFAULT_POLICY = Policy()
