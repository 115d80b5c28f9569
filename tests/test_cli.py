"""The command as a stranger uses it: exit codes, two-sentence errors, the whole path on a small company."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from pipelines.cli import main

pytestmark = pytest.mark.usefixtures("_no_workspace_variable")


@pytest.fixture
def _no_workspace_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORECAST_TRUST_WORKSPACE", raising=False)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace holding a small simulated company, made by the command itself."""
    workspace = tmp_path_factory.mktemp("cli") / "workspace"
    code, out, err = run("demo", "--workspace", workspace, "--reps", "6", "--quarters", "7", "--seed", "3")
    assert code == 0, out + err
    return workspace


def table(workspace: Path, name: str, *more: str | Path) -> list[dict[str, str]]:
    code, out, err = run("export", name, "--workspace", workspace, *more)
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def test_demo_says_what_to_run_next_and_repeats_without_change(company: Path) -> None:
    before = table(company, "forecaster_bias")
    code, out, _ = run("demo", "--workspace", company, "--reps", "6", "--quarters", "7", "--seed", "3")
    assert code == 0
    assert "forecast-trust dashboard" in out
    assert "0 accepted, 0 rejected" in out
    assert table(company, "forecaster_bias") == before


def test_demo_never_mixes_two_companies(company: Path) -> None:
    code, _, err = run("demo", "--workspace", company, "--reps", "6", "--quarters", "7", "--seed", "4")
    assert code == 1
    assert "already holds other data" in err
    assert "--workspace" in err


def test_check_holds_on_a_fresh_edition(company: Path) -> None:
    code, out, err = run("check", "--workspace", company)
    assert code == 0, out + err
    assert "BROKEN" not in out


def test_an_altered_edition_is_found_out(company: Path, tmp_path: Path) -> None:
    edition = company / "editions" / f"{(company / 'CURRENT').read_text().strip()}.duckdb"
    copy = tmp_path / "workspace"
    (copy / "editions").mkdir(parents=True)
    (copy / "CURRENT").write_bytes((company / "CURRENT").read_bytes())
    target = copy / "editions" / edition.name
    target.write_bytes(edition.read_bytes())
    script = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('UPDATE forecast_pairs SET forecast_amount = 1')"
    subprocess.run([sys.executable, "-c", script, str(target)], check=True)
    code, out, err = run("check", "--workspace", copy)
    assert code == 1
    assert "BROKEN" in out
    assert "checks are broken" in err


def test_a_damaged_edition_is_marked_and_the_others_are_still_listed(company: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "copy"
    shutil.copytree(company, workspace)
    (workspace / "editions" / "20200101T000000Z-000000000000.duckdb").write_bytes(b"not a database" * 1000)
    code, out, err = run("editions", "--workspace", workspace)
    assert code == 1
    assert "\n* " in out
    assert "! 20200101T000000Z-000000000000  damaged: " in out
    assert err.splitlines()[0] == f"1 of {len(out.splitlines())} editions cannot be read."


def test_editions_lists_what_was_published(company: Path) -> None:
    code, out, _ = run("editions", "--workspace", company)
    assert code == 0
    (current,) = [line for line in out.splitlines() if line.startswith("* ")]
    assert table(company, "edition")[0]["edition_id"] in current
    # The demo's record begins a week before.
    days = [line.split("as of ")[1][:10] for line in out.splitlines()]
    assert (date.fromisoformat(days[-1]) - date.fromisoformat(days[-2])).days == 7


def test_an_earlier_as_of_is_a_new_edition_and_knows_nothing_later(company: Path) -> None:
    now = table(company, "edition")[0]
    code, out, err = run("publish", "--workspace", company, "--as-of", "2026-05-15")
    assert code == 0, out + err
    then = table(company, "edition")[0]
    assert then["as_of_at"].startswith("2026-05-15T23:59:59")
    assert then["edition_id"] != now["edition_id"]
    pairs = table(company, "forecast_pairs")
    assert max(row["period_start_on"] for row in pairs) <= "2026-05-15"
    open_pairs = [row for row in pairs if row["period_start_on"] == "2026-04-01"]
    assert open_pairs
    assert {row["actual_amount"] for row in open_pairs} == {""}
    # The older edition is still there, and opens by its id.
    assert table(company, "edition", "--edition", now["edition_id"])[0] == now
    code, _, err = run("publish", "--workspace", company)
    assert code == 0, err
    assert table(company, "edition")[0] == now


def test_pairs_keep_the_sign_rule(company: Path) -> None:
    closed = [row for row in table(company, "forecast_pairs") if row["status"] == "closed"]
    assert closed
    for row in closed:
        forecast, actual, error = (
            round(float(row[name]) * 100) for name in ("forecast_amount", "actual_amount", "error_amount")
        )
        assert error == forecast - actual


def test_the_self_check_says_how_often_ranges_held(company: Path) -> None:
    arguments: list[str | Path] = ["selfcheck", "--workspace", company, "--companies", "20"]
    code, out, err = run(*arguments)
    assert code == 0, err
    first, *lines = out.splitlines()
    people = {row["forecaster_id"] for row in table(company, "forecast_pairs") if row["layer"] == "rep"}
    assert first.startswith("20 simulated companies of this shape: ")
    assert int(first.split(": ")[1].split()[0]) <= len(people)
    assert "over 7 closed periods" in first
    assert len(lines) == 6
    assert "Of 100 ranges meant to hold 80, " in lines[0]
    assert run(*arguments)[1] == out
    assert run(*arguments, "--seed", "2")[1] != out
    # The edition holds the same check, on fewer companies.
    published = table(company, "selfcheck")
    assert {row["status"] for row in published} == {"ok"}
    assert len(published) == 6


def test_the_self_check_refuses_a_company_without_history(tmp_path: Path) -> None:
    rows = [f"{who},2026-0{month}-01,100,9{month}" for who in ("a", "b") for month in (1, 4, 7)]
    sheet = tmp_path / "calls.csv"
    sheet.write_text("forecaster_id,period_start_on,forecast_amount,actual_amount\n" + "\n".join(rows) + "\n")
    workspace = tmp_path / "workspace"
    for arguments in (["ingest", sheet], ["publish"]):
        code, _, err = run(*arguments, "--workspace", workspace)
        assert code == 0, err
    code, out, err = run("selfcheck", "--workspace", workspace)
    assert (code, out) == (1, "")
    problem, remedy = [line for line in err.splitlines() if not line.startswith("Simulating")]
    assert "needs 4 closed periods and 2 forecasters" in problem
    assert "has 3 and 2" in problem
    assert "forecast-trust ingest" in remedy
    assert {row["status"] for row in table(workspace, "selfcheck")} == {"not_enough_history"}


def test_export_formats_agree(company: Path, tmp_path: Path) -> None:
    rows = table(company, "team_bias")
    code, out, _ = run("export", "team_bias", "--workspace", company, "--format", "json")
    assert code == 0
    assert len(json.loads(out)) == len(rows)
    target = tmp_path / "bias.parquet"
    code, _, _ = run("export", "team_bias", "--workspace", company, "--format", "parquet", "--out", target)
    assert code == 0
    assert pl.read_parquet(target).height == len(rows)
    code, _, err = run("export", "team_bias", "--workspace", company, "--format", "parquet")
    assert code == 1
    assert "--out" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["publish"], 1, "Nothing has landed"),
        (["check"], 1, "No edition"),
        (["export", "forecast_pairs"], 1, "No edition"),
        (["selfcheck"], 1, "No edition"),
        (["selfcheck", "--companies", "3"], 2, "3"),
        (["selfcheck", "--edition", "nowhere"], 1, "no edition"),
        (["ingest", "nowhere.csv"], 1, "nowhere.csv"),
        (["export", "no_such_table"], 2, "no_such_table"),
        (["publish", "--as-of", "soon"], 2, "soon"),
        (["demo", "--reps", "none"], 2, "none"),
        (["no-such-command"], 2, "no-such-command"),
    ],
)
def test_mistakes_are_told_in_words(arguments: Sequence[str], code: int, words: str, tmp_path: Path) -> None:
    more = [] if arguments[0] == "no-such-command" else ["--workspace", tmp_path / "empty"]
    got, out, err = run(*arguments, *more)
    assert got == code
    assert words in err
    assert "Traceback" not in out + err


def test_a_fault_of_ours_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("pipelines.runs.publish", fail)
    code, out, err = run("publish", "--workspace", tmp_path)
    assert code == 1
    assert "ZeroDivisionError" in err
    assert "Traceback" not in out + err
    log = Path(next(word for word in err.split() if word.endswith(".log")))
    assert "planted" in log.read_text()
    log.unlink()


def test_a_killed_publish_leaves_the_current_edition(company: Path) -> None:
    before = table(company, "edition")
    command = [sys.executable, "-m", "pipelines.cli", "publish", "--workspace", str(company), "--as-of", "2026-03-03"]
    for seconds in (0.8, 1.6):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(command, timeout=seconds, check=False, capture_output=True)
        assert table(company, "edition") == before
        code, out, _ = run("check", "--workspace", company)
        assert code == 0, out


def test_the_workspace_can_come_from_the_environment(company: Path) -> None:
    result = CliRunner().invoke(main, ["editions"], env={**os.environ, "FORECAST_TRUST_WORKSPACE": str(company)})
    assert result.exit_code == 0


def test_what_was_rejected_or_left_out_is_said_with_its_money(tmp_path: Path) -> None:
    (tmp_path / "deals.csv").write_text(
        "opportunity_id,owner_id,created_on,close_on,stage,amount\n"
        "o1,a,2026-01-05,2026-02-10,Open,1.005\no2,a,2026-01-05,30-Feb-2026,Open,2500\n"
        "o3,a,2026-13-05,2026-02-10,Open,1000.50\n"
    )
    code, out, err = run("ingest", tmp_path / "deals.csv", "--workspace", tmp_path / "workspace")
    assert code == 0, err
    assert out == (
        "deals.csv: opportunities (generic), 1 accepted, 2 rejected (standing for 3,500.50), 0 unchanged\n"
        "  1 value of amount rounded to cents.\n"
    )


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ('memory_limit = "lots"', "memory_limit is 'lots'"),
        ('memory_limit = "200%"', "memory_limit is '200%'"),
        ('memory_limit = "99999999999TB"', "memory_limit is '99999999999TB'"),
        ('threads = "two"', "threads is 'two'"),
        ("threads = 0", "threads is 0"),
        ("reporting_currency = 5", "reporting_currency is 5"),
        ('period_kind = "week"', "period_kind is 'week'"),
        ("fiscal_year_start_month = true", "fiscal_year_start_month is True"),
        ('company_name = ""', "company_name is ''"),
        ("company_name = ", "not valid TOML"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, stated: str, problem: str) -> None:
    (tmp_path / "deals.csv").write_text(
        "opportunity_id,owner_id,created_on,close_on,stage\no1,a,2026-01-05,2026-02-10,Open\n"
    )
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "settings.toml").write_text(stated + "\n")
    code, _, err = run("ingest", tmp_path / "deals.csv", "--workspace", tmp_path / "workspace")
    assert code == 1
    assert problem in err
    assert "not your doing" not in err


@pytest.mark.parametrize("pointer", [b"\xff\xfe nothing", b"20250101T000000Z-000000000000\n", None])
def test_a_pointer_to_nowhere_is_said_and_the_editions_are_still_listed(
    company: Path, tmp_path: Path, pointer: bytes | None
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(company, workspace)
    edition = (workspace / "CURRENT").read_text().strip()
    (workspace / "CURRENT").unlink()
    if pointer is None:
        (workspace / "CURRENT").mkdir()
    else:
        (workspace / "CURRENT").write_bytes(pointer)
    code, out, err = run("editions", "--workspace", workspace)
    assert code == 1
    assert edition in out
    assert len(err.splitlines()) == 2
    assert "not your doing" not in err
    code, _, err = run("check", "--workspace", workspace)
    assert (code, len(err.splitlines())) == (1, 2)
    assert "forecast-trust publish" in err


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_a_table_that_cannot_be_written_says_so(company: Path, tmp_path: Path, file_format: str) -> None:
    code, out, err = run(
        "export", "periods", "--workspace", company, "--format", file_format, "--out", tmp_path / "no" / "such.file"
    )
    assert (code, out, len(err.splitlines())) == (1, "", 2)
    assert "cannot be written" in err
    assert "--out" in err
