"""The canonical text tables as Salesforce objects (API field names) and as a report export (labels, M/D/Y, footer)."""

from __future__ import annotations

import polars as pl

from pipelines.simulate.files import INSTANT_FORMAT
from pipelines.simulate.scenario import CURRENCIES

CATEGORY_LABELS = {
    "omitted": "Omitted",
    "pipeline": "Pipeline",
    "best_case": "Best Case",
    "most_likely": "Most Likely",
    "commit": "Commit",
    "closed": "Closed",
}
FIELD_NAMES = {
    "stage": "StageName",
    "amount": "Amount",
    "close_on": "CloseDate",
    "owner_id": "Owner",
    "forecast_category": "ForecastCategoryName",
    "probability_rate": "Probability",
}
ITEM_CATEGORIES = {"commit": "CommitForecast", "most_likely": "MostLikelyForecast", "best_case": "BestCaseForecast"}
ROLE_NAMES = {"rep": "Sales Rep", "manager": "Sales Manager", "executive": "Sales Executive"}
MOTION_LABELS = {"transactional": "Transactional", "consultative": "Consultative"}


def _instant(name: str) -> pl.Expr:
    """The API's spelling of an instant."""
    return pl.col(name).str.replace("Z", ".000+0000", literal=True)


def _midday(name: str) -> pl.Expr:
    """A day as the instant the API shows for a creation date."""
    return pl.col(name) + "T12:00:00.000+0000"


def _percent(column: pl.Expr) -> pl.Expr:
    return (column.cast(pl.Float64) * 100).round(4).cast(pl.Int64).cast(pl.String)


def _id(prefix: str) -> pl.Expr:
    return pl.lit(prefix) + pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(12)


def opportunity(text: pl.DataFrame) -> pl.DataFrame:
    """Opportunity."""
    return text.select(
        Id="opportunity_id",
        IsDeleted="is_deleted",
        AccountId="account_id",
        **{"Account.Name": pl.col("account_name")},
        Name="name",
        StageName="stage",
        Amount="amount",
        Probability=_percent(pl.col("probability_rate")),
        CloseDate="close_on",
        Type="opportunity_type",
        NextStep="next_step",
        LeadSource="lead_source",
        IsClosed="is_closed",
        IsWon="is_won",
        ForecastCategoryName=pl.col("forecast_category").replace_strict(CATEGORY_LABELS),
        CurrencyIsoCode="currency",
        OwnerId="owner_id",
        CreatedDate=_midday("created_on"),
        LastModifiedDate=_instant("modified_at"),
        LastActivityDate="last_activity_on",
        Sales_Motion__c=pl.col("sales_motion").replace_strict(MOTION_LABELS),
        Loss_Reason__c="outcome_reason",
    )


def field_history(text: pl.DataFrame) -> pl.DataFrame:
    """OpportunityFieldHistory."""

    def value(name: str) -> pl.Expr:
        column, kind = pl.col(name), pl.col("field")
        number = pl.when(kind == "probability_rate").then(column).otherwise(None)
        return (
            pl.when(kind == "probability_rate")
            .then(_percent(number))
            .when(kind == "forecast_category")
            .then(column.replace(CATEGORY_LABELS))
            .otherwise(column)
        )

    return text.select(
        Id=pl.concat_str(pl.lit("017"), pl.col("opportunity_id").str.slice(3), pl.int_range(pl.len()).cast(pl.String)),
        OpportunityId="opportunity_id",
        CreatedById="changed_by",
        CreatedDate=_instant("changed_at"),
        Field=pl.col("field").replace_strict(FIELD_NAMES),
        OldValue=value("old_value"),
        NewValue=value("new_value"),
    )


def submission_items(text: pl.DataFrame, fx: pl.DataFrame) -> pl.DataFrame:
    """ForecastingSubmissionItem with its parent's fields, in the corporate currency as that object holds amounts."""
    rates = fx.select(
        "currency",
        period_start_on=pl.col("valid_from_on").cast(pl.String),
        rate="rate_to_reporting",
    )
    priced = text.join(rates, on=["currency", "period_start_on"], how="left", maintain_order="left")
    parent = "ForecastingSubmission."
    key = pl.concat_str("forecaster_id", "period_start_on", "submitted_at").rank("dense").cast(pl.Int64)
    return priced.select(
        Id=_id("0Jz"),
        ForecastingSubmissionId=pl.lit("0Jy") + key.cast(pl.String).str.zfill(12),
        ForecastingItemCategory=pl.col("category").replace_strict(ITEM_CATEGORIES),
        Amount=(pl.col("amount").cast(pl.Float64) * pl.col("rate")).round(2).cast(pl.Decimal(18, 2)).cast(pl.String),
        CurrencyIsoCode=pl.lit(CURRENCIES[0]),
        **{
            f"{parent}ForecastOwnerId": pl.col("forecaster_id"),
            f"{parent}ForecastOwner.UserRole.Name": pl.col("layer").replace_strict(ROLE_NAMES),
            f"{parent}PeriodStartDate": pl.col("period_start_on"),
            f"{parent}SubmissionDateTime": _instant("submitted_at"),
            f"{parent}Note": pl.col("note"),
        },
    )


def user(text: pl.DataFrame) -> pl.DataFrame:
    """User, one row per span under one manager: the custom fields say from when to when."""
    return text.select(
        Id="person_id",
        Username="email",
        Name="name",
        Email="email",
        ManagerId="manager_id",
        **{"UserRole.Name": pl.col("role")},
        Department="team",
        Division="region",
        Segment__c="segment",
        IsActive=pl.when(pl.col("left_on").is_null()).then(pl.lit("true")).otherwise(pl.lit("false")),
        Hired_On__c="hired_on",
        Left_On__c="left_on",
        Valid_From__c="valid_from_on",
        Valid_To__c="valid_to_on",
    )


def quota(text: pl.DataFrame) -> pl.DataFrame:
    """ForecastingQuota."""
    return text.select(
        Id=_id("0J9"),
        QuotaOwnerId="person_id",
        StartDate="period_start_on",
        QuotaAmount="amount",
        CurrencyIsoCode="currency",
        CreatedDate=_instant("recorded_at"),
    )


def conversion_rate(fx: pl.DataFrame) -> pl.DataFrame:
    """DatedConversionRate: units of the currency for one of the corporate currency, the inverse of ours."""
    ordered = fx.sort("currency", "valid_from_on")
    return ordered.select(
        Id=_id("04w"),
        IsoCode="currency",
        StartDate=pl.col("valid_from_on").cast(pl.String),
        NextStartDate=pl.col("valid_from_on").shift(-1).over("currency").cast(pl.String).fill_null("9999-12-31"),
        ConversionRate=(1 / pl.col("rate_to_reporting")).round(8).cast(pl.String),
    )


def stage(text: pl.DataFrame) -> pl.DataFrame:
    """OpportunityStage."""
    return text.select(
        Id=_id("01J"),
        MasterLabel="stage",
        SortOrder="stage_order",
        IsClosed="is_closed",
        IsWon="is_won",
        DefaultProbability=_percent(pl.col("default_probability_rate")),
        ForecastCategoryName=pl.col("forecast_category").replace_strict(CATEGORY_LABELS),
    )


def task(text: pl.DataFrame) -> pl.DataFrame:
    """Task."""
    kind = pl.col("kind").str.to_titlecase()
    return text.select(
        Id=pl.concat_str(pl.lit("00T"), pl.col("opportunity_id").str.slice(3), pl.int_range(pl.len()).cast(pl.String)),
        WhatId="opportunity_id",
        Subject=kind,
        Type=kind,
        CallType=pl.col("direction").str.to_titlecase(),
        Status=pl.lit("Completed"),
        ActivityDate=pl.col("occurred_at").str.slice(0, 10),
        CreatedDate=_instant("occurred_at"),
    )


def lead(text: pl.DataFrame) -> pl.DataFrame:
    """Lead."""
    there = pl.col("opportunity_id").is_not_null()
    return text.select(
        Id="lead_id",
        CreatedDate=_midday("created_on"),
        LeadSource="source",
        Status=pl.when(there).then(pl.lit("Qualified")).otherwise(pl.lit("Working")),
        Accepted_On__c="accepted_on",
        Qualified_On__c="qualified_on",
        IsConverted=pl.when(there).then(pl.lit("true")).otherwise(pl.lit("false")),
        ConvertedDate="converted_on",
        ConvertedOpportunityId="opportunity_id",
    )


def _us_date(name: str) -> pl.Expr:
    """10/5/2026."""
    return pl.col(name).str.to_date("%Y-%m-%d").dt.strftime("%-m/%-d/%Y")


def _grouped(name: str) -> pl.Expr:
    """12,500.00; words stay words."""
    whole = pl.col(name).str.extract(r"^(\d+)\.\d\d$")
    reversed_groups = whole.str.reverse().str.replace_all(r"(\d{3})", "$1,").str.strip_suffix(",").str.reverse()
    return pl.when(whole.is_null()).then(pl.col(name)).otherwise(reversed_groups + pl.col(name).str.slice(-3))


def report(text: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """An opportunities report with its labels; ``names``: person id → name."""
    flag = {"true": "1", "false": "0"}
    return text.select(
        **{
            "Opportunity ID": pl.col("opportunity_id"),
            "Opportunity Owner": pl.col("owner_id").replace_strict(names, default=None, return_dtype=pl.String),
            "Owner ID": pl.col("owner_id"),
            "Opportunity Name": pl.col("name"),
            "Account Name": pl.col("account_name"),
            "Stage": pl.col("stage"),
            "Amount Currency": pl.col("currency"),
            "Amount": _grouped("amount"),
            "Probability (%)": _percent(pl.col("probability_rate")),
            "Close Date": _us_date("close_on"),
            "Created Date": _us_date("created_on"),
            "Last Modified Date": pl.col("modified_at")
            .str.to_datetime(INSTANT_FORMAT)
            .dt.strftime("%-m/%-d/%Y %-I:%M %p"),
            "Last Activity": _us_date("last_activity_on"),
            "Type": pl.col("opportunity_type"),
            "Lead Source": pl.col("lead_source"),
            "Next Step": pl.col("next_step"),
            "Forecast Category": pl.col("forecast_category").replace_strict(CATEGORY_LABELS),
            "Won": pl.col("is_won").replace_strict(flag),
            "Closed": pl.col("is_closed").replace_strict(flag),
            "Sales Motion": pl.col("sales_motion").replace_strict(MOTION_LABELS),
            "Loss Reason": pl.col("outcome_reason"),
        }
    )
