"""From a snapshot to a version: repeatable, evaluated on the hold-out, registered with its facts."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from leadgate.app.wire import Home
from leadgate.errors import BadConfigError, NotFoundError, RefusedError
from leadgate.leads.snapshots import read_snapshot
from leadgate.models.comparing import compare_versions
from leadgate.models.dataset import rows_of
from leadgate.models.promoting import promote
from leadgate.models.scorers import LibraryScorer, load
from workshop import make_home, train_version


@pytest.fixture
def home(tmp_path: Path, database: str) -> Home:
    """A project of its own, without a version."""
    return make_home(tmp_path, database, leads=1_500)


def test_the_model_depends_on_its_settings_and_on_nothing_else(home: Home) -> None:
    """Trained twice, one digest; another setting, another digest."""
    first, again = train_version(home), train_version(home)
    other = train_version(home, hyperparameters={"C": 0.1})
    assert first.card.model_digest == again.card.model_digest != other.card.model_digest


def test_the_recorded_figures_are_those_of_the_recorded_scores(workshop: Home) -> None:
    """The hold-out's AUC is scikit-learn's on the stored scores, and these are what the version answers."""
    version = workshop.registry.find("2")
    scored = load(workshop.registry, version)
    held = pl.read_parquet(io.BytesIO(workshop.registry.holdout(version)))
    auc = scored.card.evaluation.overall.auc
    assert auc == pytest.approx(roc_auc_score(held["converted"], held["score"]), abs=1e-12)
    _, leads = read_snapshot(workshop.snapshots_uri, workshop.project.lead)
    rows = rows_of(leads.join(held, left_on="lead_id", right_on="id").sort("lead_id"), scored.card.lead)
    answered = scored.scorer.score_many(rows)
    assert np.abs(np.array(answered) - held.sort("id")["score"].to_numpy()).max() < 1e-9


def test_training_and_holdout_share_no_lead(workshop: Home) -> None:
    """The parts add up to the snapshot, and the hold-out is what the split says."""
    card = workshop.registry.card(workshop.registry.find("1"))
    held = pl.read_parquet(io.BytesIO(workshop.registry.holdout(workshop.registry.find("1"))))
    assert held["id"].is_unique().all()
    assert (card.training_leads + card.holdout_leads, card.holdout_leads) == (3_000, held.height)


def test_first_version_is_champion_and_the_next_challenger(workshop: Home) -> None:
    """So that there is something to serve at once, and nothing replaces it by itself."""
    first, second = workshop.registry.versions()
    assert (first.aliases, second.aliases) == (("champion",), ("challenger",))


def test_the_audit_facts_are_on_the_version(workshop: Home) -> None:
    """Snapshot, features, code, environment, person and time, as the plan's section 1.3 lists them."""
    tags = workshop.registry.find("champion").tags
    snapshot, _ = read_snapshot(workshop.snapshots_uri, workshop.project.lead)
    assert (tags["data_snapshot_version"], tags["data_snapshot_digest"]) == ("0", snapshot.digest)
    assert tags["feature_set_hash"] == workshop.project.lead.digest
    assert (tags["author"], tags["trained_at"]) == ("tester", "2026-06-01T00:00:00+00:00")
    assert tags["git_commit"] == "(not in a repository)"
    assert len(tags["lock_digest"]) == 64


def test_mlflow_holds_parameters_metrics_plots_schema_and_model(workshop: Home) -> None:
    """Any MLflow tool finds what it expects, and its model scores as ours does."""
    import mlflow  # noqa: PLC0415

    version = workshop.registry.find("2")
    scored = load(workshop.registry, version)
    mlflow.set_tracking_uri(workshop.registry.tracking_uri)
    run = mlflow.get_run(version.run_id)
    assert run.data.params["model_kind"] == "hist_gradient_boosting"
    assert run.data.metrics["auc"] == scored.card.evaluation.overall.auc
    plots = {file.path for file in mlflow.MlflowClient().list_artifacts(version.run_id, "plots")}
    assert plots == {"plots/roc.png", "plots/calibration.png", "plots/scores.png"}
    model = mlflow.pyfunc.load_model(version.source)
    assert {field.name for field in model.metadata.get_input_schema()} == {f.name for f in workshop.project.lead.used}


def test_a_changed_file_is_not_served(tmp_path: Path, database: str) -> None:
    """The registry vouches for every file by its SHA-256; one changed byte and the version is refused."""
    home = make_home(tmp_path, database, leads=1_500)
    version = train_version(home).version
    (program,) = (home.state / "models").rglob("program.json")
    program.write_bytes(program.read_bytes().replace(b"intercept", b"interceqt", 1))
    with pytest.raises(RefusedError, match="not the file that was registered"):
        load(home.registry, version)


def test_what_cannot_be_compiled_is_served_by_the_library_and_says_why(home: Home) -> None:
    """Averaged trees are beyond the compiler; the version works all the same, slower."""
    forest = {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1, "n_estimators": 5}
    trained = train_version(home, "lightgbm", hyperparameters=forest)
    assert trained.card.proof is None
    assert "averaged" in str(trained.card.why_library)
    scored = load(home.registry, trained.version)
    assert isinstance(scored.scorer, LibraryScorer)
    row = scored.card.example
    assert 0 < scored.scorer.score(row) < 1
    assert trained.version.tags["scorer"] == "library"


def test_comparison_is_on_the_common_holdout(workshop: Home) -> None:
    """Both figures are those of the two cards, since both held out the same leads; the order sets the sign."""
    first, second = workshop.registry.versions()
    there, back = (compare_versions(workshop.registry, *pair) for pair in ((first, second), (second, first)))
    assert there.champion.auc == workshop.registry.card(first).evaluation.overall.auc
    assert there.auc.difference == pytest.approx(-back.auc.difference, abs=1e-12)


def test_promotion_moves_the_alias_and_says_who(home: Home) -> None:
    """The old champion stays registered; promoting twice changes nothing; an unknown version is refused."""
    train_version(home)
    train_version(home, seed=7, hyperparameters={"C": 0.2})
    said = promote(home.registry, "2", "champion", by="ann", at=home.clock())
    first, second = home.registry.versions()
    assert (first.aliases, second.aliases) == ((), ("champion",))
    assert second.tags["champion_by"] == "ann"
    assert "instead of version 1" in said
    assert "nothing changed" in promote(home.registry, "2", "champion", by="ann", at=home.clock())
    with pytest.raises(NotFoundError, match="known: 1, 2, champion"):
        promote(home.registry, "9", "champion", by="ann", at=home.clock())


def test_a_misspelt_hyperparameter_is_named(home: Home) -> None:
    """With the nearest that the estimator has; nothing is registered."""
    with pytest.raises(BadConfigError, match="did you mean 'max_iter'"):
        train_version(home, hyperparameters={"max_itr": 5})
    assert home.registry.versions() == ()


def test_time_split_holds_out_the_latest(home: Home) -> None:
    """Every held-out lead came after every training lead."""
    project = home.project
    late = project.model_copy(update={"split": project.split.model_copy(update={"by": "time"})})
    moved = Home(home.folder, home.settings)
    moved.__dict__["project"] = late
    version = train_version(moved).version
    held = pl.read_parquet(io.BytesIO(moved.registry.holdout(version)))
    _, leads = read_snapshot(home.snapshots_uri, project.lead)
    times = leads.with_columns(held=pl.col("lead_id").is_in(held["id"].to_list()))
    assert times.filter(~pl.col("held"))["created_at"].max() < times.filter("held")["created_at"].min()  # type: ignore[operator]
