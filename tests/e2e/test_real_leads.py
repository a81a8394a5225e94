"""The main job on real leads: the bank's telephone leads through every command and over real HTTP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score

from commands import Cli
from leadgate.leads.project import parse_project
from leadgate.storage.postgres.server import start_embedded

SCORED = 2_000
SHIFT_DAYS = 75


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """All leads as text."""
    path = Path(__file__).parents[2].parent / "shared" / "data" / "bank_marketing.csv"
    if not path.exists():
        pytest.skip("bank_marketing.csv is not beside the repository (UCI Bank Marketing, see docs/real-data.md)")
    return pl.read_csv(path, infer_schema=False)


@pytest.fixture(scope="module")
def project(cli: Cli, bank: pl.DataFrame) -> Cli:
    """A project with all leads imported."""
    bank.write_csv(cli.folder / "bank.csv")
    start_embedded(cli.folder / ".leadgate" / "postgres")  # it runs on, or each command would start and stop it
    cli.ok("init", ".", "--from", "bank.csv")
    cli.ok("data", "import", "bank.csv")
    return cli


@pytest.fixture(scope="module")
def versions(project: Cli) -> dict[str, Any]:
    """A version of each kind, by kind; the first trained one is champion."""
    kinds = ("logistic_regression", "hist_gradient_boosting", "lightgbm")
    return {kind: project.json("train", "--model", kind) for kind in kinds}


def test_init_flags_the_leak_and_guesses_the_rest(project: Cli) -> None:
    """`duration` is known only after the call: it stays out of models until someone says `use: true`."""
    text = (project.folder / "leadgate.yaml").read_text()
    lead = parse_project(text, "leadgate.yaml").lead
    assert (lead.id, lead.timestamp, lead.target) == ("lead_id", "created_at", "converted")
    assert [feature.name for feature in lead.features if not feature.use] == ["duration"]
    assert len(lead.used) == 18


def test_import_is_complete_and_repeatable(project: Cli, bank: pl.DataFrame) -> None:
    """Every lead is in; importing again adds nothing; the snapshot's facts are those of the file."""
    again = project.json("data", "import", "bank.csv")
    assert (again["added"], again["changed"], again["unchanged"], again["snapshot"]) == (0, 0, bank.height, None)
    (snapshot,) = project.json("data", "show")
    assert (snapshot["rows"], snapshot["quarantined"]) == (bank.height, 0)
    assert snapshot["conversion_rate"] == pytest.approx((bank["converted"] == "1").mean(), abs=1e-12)
    assert snapshot["first_lead_at"][:19] + "Z" == bank["created_at"].min()


@pytest.mark.parametrize(
    ("kind", "published"), (("logistic_regression", 0.784), ("hist_gradient_boosting", 0.799), ("lightgbm", 0.799))
)
def test_holdout_auc_is_that_of_the_data_sheet(versions: dict[str, Any], kind: str, published: float) -> None:
    """The data's own notes give the AUC of a random 80/20 split without `duration`; LightGBM is the same method."""
    overall = versions[kind]["card"]["evaluation"]["overall"]
    assert overall["auc"] == pytest.approx(published, abs=0.01)
    assert overall["auc_interval"]["low"] < overall["auc"] < overall["auc_interval"]["high"]


def test_every_version_is_compiled_and_proven(versions: dict[str, Any]) -> None:
    """The registered proof covers the whole hold-out and edge rows, to 1e-9."""
    for version in versions.values():
        proof = version["card"]["proof"]
        assert proof["rows"] == version["card"]["holdout_leads"] > 8_000
        assert proof["edge_rows"] > 20
        assert proof["max_difference"] < 1e-9


def test_training_again_gives_the_same_model(project: Cli, versions: dict[str, Any], bank: pl.DataFrame) -> None:
    """Same snapshot, configuration and lock: same digest, of each kind, with the same leads in another order."""
    other = Cli(project.folder / "shuffled")
    other.folder.mkdir()
    bank.sample(fraction=1, shuffle=True, seed=1).write_csv(other.folder / "shuffled.csv")
    (other.folder / "leadgate.yaml").write_text((project.folder / "leadgate.yaml").read_text())
    other.ok("data", "import", "shuffled.csv")
    assert other.json("data", "show")[0]["digest"] == project.json("data", "show")[0]["digest"]
    for kind, version in versions.items():
        assert other.json("train", "--model", kind)["card"]["model_digest"] == version["card"]["model_digest"]


@pytest.fixture(scope="module")
def answers(project: Cli, versions: dict[str, Any], bank: pl.DataFrame) -> dict[str, Any]:
    """2,000 leads scored over HTTP, 1,000 one by one and 1,000 in batches, in the past; answers by lead."""
    assert versions["logistic_regression"]["version"]["aliases"] == ["champion"]
    lead = parse_project((project.folder / "leadgate.yaml").read_text(), "leadgate.yaml").lead
    kinds = {feature.name: feature.type.value for feature in lead.used}
    rows = bank.sample(SCORED, seed=7).to_dicts()
    bodies = [
        {
            "lead_id": row["lead_id"],
            "features": {n: float(row[n]) if kind == "numeric" else row[n] for n, kind in kinds.items()},
        }
        for row in rows
    ]
    with project.server(LEADGATE_CLOCK_SHIFT_DAYS=str(-SHIFT_DAYS)) as client:
        single = [client.post("/predict", json=body).raise_for_status().json() for body in bodies[:1000]]
        for start in range(1000, SCORED, 500):
            batch = client.post("/predict/batch", json={"leads": bodies[start : start + 500]})
            single += batch.raise_for_status().json()["predictions"]
        kept = client.get(f"/leads/{bodies[0]['lead_id']}/score").raise_for_status().json()
        assert kept["prediction_id"] == single[0]["prediction_id"]
    return {answer["lead_id"]: answer for answer in single}


def test_answers_are_whole_and_honest(answers: dict[str, Any]) -> None:
    """Each answer has its id, version, priority by the thresholds, and the interval that its band converted in."""
    assert len({a["prediction_id"] for a in answers.values()}) == SCORED
    for answer in answers.values():
        score, confidence = answer["predicted_score"], answer["confidence"]
        assert answer["priority"] == ("high" if score > 0.7 else "medium" if score > 0.4 else "low")
        assert 0 <= confidence["low"] <= confidence["converted_share"] <= confidence["high"] <= 1
        assert (answer["model_version"], answer["variant"]) == ("1", "champion")


def test_measured_performance_is_that_of_scikit_learn(
    project: Cli, answers: dict[str, Any], bank: pl.DataFrame
) -> None:
    """On the same rows: AUC to 1e-9; precision, recall and Brier score likewise; conversion, deal size and days."""
    truth = dict(bank.select("lead_id", "converted").rows())
    scored_at = datetime.now(UTC) - timedelta(days=SHIFT_DAYS)
    lines = ["lead_id,converted,deal_size,days_to_close,outcome_at"]
    for i, lead in enumerate(answers):
        won = truth[lead] == "1"
        size, days = (1000 + i, 5 + i % 40) if won else ("", "")
        lines.append(f"{lead},{int(won)},{size},{days},{(scored_at + timedelta(days=1 + i % 50)).isoformat()}")
    (project.folder / "outcomes.csv").write_text("\n".join(lines) + "\n")
    assert project.json("outcomes", "import", "outcomes.csv")["added"] == SCORED
    assert project.json("outcomes", "import", "outcomes.csv")["added"] == 0
    measured = project.json("performance", "--by", "job", "--rows", "rows.csv")
    scores = measured["overall"]["scores"]

    y = [truth[lead] == "1" for lead in answers]
    p = [answers[lead]["predicted_score"] for lead in answers]
    assert scores["leads"] == SCORED
    assert scores["auc"] == pytest.approx(roc_auc_score(y, p), abs=1e-9)
    assert scores["brier"] == pytest.approx(brier_score_loss(y, p), abs=1e-9)
    assert scores["base_rate"] == pytest.approx(sum(y) / SCORED, abs=1e-12)
    called = [value > 0.5 for value in p]
    assert scores["precision"] == pytest.approx(precision_score(y, called), abs=1e-9)
    assert scores["recall"] == pytest.approx(recall_score(y, called), abs=1e-9)
    sizes = [1000 + i for i, won in enumerate(y) if won]
    assert measured["overall"]["deal_size"] == pytest.approx(sum(sizes) / len(sizes), abs=1e-6)
    assert sum(group["scores"]["leads"] for group in measured["groups"]) == SCORED
    rows = pl.read_csv(project.folder / "rows.csv")
    assert roc_auc_score(rows["converted"], rows["predicted_score"]) == pytest.approx(scores["auc"], abs=1e-12)


def test_a_version_can_be_read_and_compared(project: Cli, versions: dict[str, Any]) -> None:
    """The audit facts of the plan are there, and two versions are compared on the same leads."""
    shown = project.json("models", "show", "champion")
    tags = shown["version"]["tags"]
    for fact in ("data_snapshot_version", "data_snapshot_digest", "feature_set_hash", "model_digest", "git_commit"):
        assert tags[fact]
    for fact in ("git_dirty", "lock_digest", "author", "trained_at"):
        assert tags[fact]
    compared = project.json("models", "compare", "1", "2")["comparison"]
    aucs = [versions[kind]["card"]["evaluation"]["overall"]["auc"] for kind in list(versions)[:2]]
    assert compared["auc"]["difference"] == pytest.approx(aucs[1] - aucs[0], abs=1e-12)
    assert compared["auc"]["interval"]["low"] < compared["auc"]["difference"] < compared["auc"]["interval"]["high"]
