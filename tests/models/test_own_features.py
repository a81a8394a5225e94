"""Versions with a features.py: trained, compared, made again and renewed, each by its own code."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from featured import CODE, OTHER_CODE, Registered, candidate, make_featured, with_code
from leadgate.app.featuring import list_features
from leadgate.app.renewing import merged
from leadgate.app.trying import try_training
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.baselines import baseline_from_bytes
from leadgate.leads.events import Events, events_in_history, history_to_json, time_of_history
from leadgate.leads.frames import HISTORY, empty_leads, merge
from leadgate.leads.project import OutcomeRules
from leadgate.leads.schema import LeadSchema, MadeRules
from leadgate.leads.snapshots import commit_snapshot, read_snapshot
from leadgate.models import training
from leadgate.models.card import card_from_json, card_to_json
from leadgate.models.dataset import require_plausible, rows_of
from leadgate.models.pipeline import frame_of, predict
from leadgate.models.registry import Registry, Version
from leadgate.models.reproduction import configuration, project_of
from leadgate.models.scorers import Scored
from leadgate.models.training import Candidate, compare_with, learn, make_candidate
from leadgate.outcomes.harvesting import harvest
from leadgate.records import LeadEvent
from leadgate.storage.postgres.events import record_events
from prepared import create_database
from workshop import NOW

FRAGILE = '''
def per_head(company_size: float | None) -> float | None:
    """Fails for companies of up to thirty."""
    return 1 / max(company_size - 30, 0) if company_size is not None else None
'''


@dataclass
class Featured:
    """A project with events, and a version of its features.py."""

    home: Home
    scored: Scored
    made: Candidate
    leads: pl.DataFrame
    """The snapshot, by the champion's schema."""

    @property
    def schema(self) -> LeadSchema:
        """With ``CODE``."""
        return self.scored.card.lead


@pytest.fixture(scope="module")
def project(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Featured:
    """Made once for this file."""
    name = f"own_{tmp_path_factory.getbasetemp().name.replace('-', '_')}"
    create_database(server, name, template)
    home = make_featured(tmp_path_factory.mktemp("own"), server.replace("/postgres?", f"/{name}?"))
    scored, made = candidate(home, "1", CODE)
    return Featured(home=home, scored=scored, made=made, leads=read_snapshot(home.snapshots_uri, scored.card.lead)[1])


def test_the_compiled_scorer_equals_the_library_on_made_features(project: Featured) -> None:
    """Parity holds for what features.py makes, on the hold-out and on edge rows."""
    proof = project.scored.card.proof
    assert proof is not None
    assert proof.max_difference < 1e-9
    compiled = np.array(project.scored.scorer.score_many(rows_of(project.made.holdout, project.schema)))
    assert np.abs(compiled - project.made.scores).max() < 1e-9


def test_the_baseline_has_the_made_features(project: Featured) -> None:
    """Drift of a made feature is watched as that of any other: here its distribution, against the rows themselves."""
    baseline = baseline_from_bytes(project.made.files.baseline)
    place = [feature.name for feature in project.schema.used].index("visits_last_week")
    values = [row[place] for row in (*project.made.learnt.rows, *project.made.held.rows)]
    assert baseline.profile.numeric["visits_last_week"].count == len(values)
    assert sum(isinstance(value, float) and value > 0 for value in values) > 50
    assert "visits_last_week" in baseline.importance


def test_a_version_is_made_again_by_the_code_of_its_card(project: Featured) -> None:
    """Whatever features.py says by then; that it says otherwise is told, and which feature it is."""
    card = card_from_json(card_to_json(project.scored.card))
    there = with_code(project.home, OTHER_CODE)
    again = learn(there.snapshots_uri, project_of(card), snapshot_version=card.snapshot_version)
    assert again.fitted.model_digest == card.model_digest
    assert again.scores.tobytes() == project.made.scores.tobytes()
    told = configuration(card, there.project)
    assert (told.state, "features.py has 'visits_last_week' written otherwise" in told.sentence) == ("other", True)
    assert "days_quiet" not in told.sentence
    assert "'visits_last_week' is gone" in configuration(card, with_code(there, None).project).sentence
    assert configuration(card, with_code(there, CODE).project).state == "same"


def test_champion_and_candidate_are_compared_each_by_its_own_code(
    project: Featured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its own hold-out the champion's AUC is the one on its card, though features.py makes other values now."""
    lead = with_code(project.home, OTHER_CODE).project.lead
    with_code(project.home, CODE)
    other = replace(project.made, card=replace(project.made.card, lead=lead))
    monkeypatch.setattr(training, "load", lambda _registry, _version: project.scored)
    registry, version = Registry.__new__(Registry), project.scored.version
    found = compare_with(registry, version, other, project.made.holdout)
    assert found is not None
    assert found.champion.auc == pytest.approx(project.scored.card.evaluation.overall.auc, abs=1e-12)
    rows = rows_of(project.made.holdout, lead)
    assert rows != project.made.held.rows
    scores = predict(project.made.pipeline, frame_of(lead, rows))
    assert found.challenger.auc == pytest.approx(roc_auc_score(project.made.held.converted, scores), abs=1e-12)
    assert lead.digest != project.schema.digest
    # Where histories are gone, the champion cannot be scored as it was: no comparison is better than a wrong one.
    assert compare_with(registry, version, other, project.made.holdout.drop(HISTORY)) is None


def test_training_refuses_leads_without_histories(project: Featured) -> None:
    """Never "no events": it says how many there are and what attaches them."""
    some = project.leads.with_columns(
        pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col(HISTORY)).alias(HISTORY)
    )
    with pytest.raises(RefusedError, match=r"7 of 1,000 leads have no history.*leadgate events attach"):
        rows_of(some, project.schema)
    with pytest.raises(RefusedError, match=r"1,000 of 1,000 leads have no history"):
        rows_of(project.leads.drop(HISTORY), project.schema)


def test_training_refuses_events_of_which_none_are_there(project: Featured, tmp_path: Path) -> None:
    """Imported after the leads and not attached, say: a count of them is 0 for all, and a score's would not be."""
    schema, uri = project.schema, str(tmp_path / "leads")
    none = [history_to_json(time_of_history(text), Events()) for text in project.leads[HISTORY]]
    leads = project.leads.with_columns(pl.Series(HISTORY, none))
    facts = {"file": "", "import_id": "", "quarantined": "0"}
    commit_snapshot(uri, merge(empty_leads(schema), leads, schema.id), schema, facts)
    with pytest.raises(RefusedError, match=r"none of the \d+ leads to train on has one.*leadgate events attach"):
        learn(uri, project_of(project.scored.card), snapshot_version=None)


def test_training_refuses_a_function_that_fails(project: Featured) -> None:
    """It names the function, the first lead, the error and how many there are; an answer has a missing value."""
    schema = with_code(project.home, FRAGILE).project.lead
    with_code(project.home, CODE)
    small = project.leads.filter(pl.col("company_size") <= 30)
    with pytest.raises(RefusedError) as caught:
        rows_of(project.leads, schema)
    said = str(caught.value)
    assert f"'per_head' fails for {small.height:,} of 1,000 leads, first for lead {small['lead_id'][0]!r}" in said
    assert "line 4 raised ZeroDivisionError" in said
    served = [row[-1] for row in rows_of(project.leads, schema, as_served=True)]
    assert sum(value is None for value in served) == small.height + project.leads["company_size"].null_count()


def test_training_refuses_what_leadgate_yaml_rules_out_of_a_made_feature(project: Featured) -> None:
    """How many leads that are, counted here from the values; as many as an import may quarantine are let through."""
    values = dict(zip([f.name for f in project.schema.used], zip(*project.made.learnt.rows, strict=True), strict=True))
    many = sum(value > 1 for value in values["visits_last_week"] if isinstance(value, float))
    never = sum(value is None for value in values["days_quiet"])
    assert never > 0
    config = with_code(project.home, CODE).project
    for rules, said in (
        (MadeRules(name="visits_last_week", range=(0, 1)), f"'visits_last_week' outside its range for {many:,} of"),
        (MadeRules(name="days_quiet", missing=0.0), f"no 'days_quiet' for {never:,} of"),
    ):
        ruled = config.model_copy(update={"lead": config.lead.model_copy(update={"made": (rules,)})})
        with pytest.raises(RefusedError, match=said):
            make_candidate(
                project.home.snapshots_uri, ruled, folder=project.home.folder, snapshot_version=None, author="", now=NOW
            )
    schema = config.lead.model_copy(update={"made": (MadeRules(name="visits_last_week", range=(0, 1)),)})
    require_plausible(project.made.learnt, schema, many / len(project.made.learnt))


def test_what_was_scored_is_learnt_with_the_events_of_its_time(project: Featured) -> None:
    """Retraining takes raw columns from the log and events from before the score; made values are made anew.

    By hand: of three visits one came after the score and one was known too late. What the log says of a made feature
    has no part, for today's code may be another.
    """
    scored_at = datetime(2026, 4, 1, 12, tzinfo=UTC)
    hours = ((-1, -1), (-2, 1), (1, 1))
    events = [
        LeadEvent(
            lead_id="fresh",
            kind="visit",
            at=scored_at + timedelta(hours=happened),
            known_at=scored_at + timedelta(hours=known),
            value=None,
        )
        for happened, known in hours
    ]
    scored = pl.DataFrame(
        {
            "lead_id": ["fresh"],
            "scored_at": [scored_at],
            "model_version": ["1"],
            "predicted_score": [0.5],
            "features": ['{"company_size": 200.0, "email_opens": 4.0, "visits_last_week": 99.0}'],
        },
        schema_overrides={"scored_at": pl.Datetime("us", "UTC")},
    )
    outcomes = pl.DataFrame(
        {
            "lead_id": ["fresh"],
            "converted": [True],
            "deal_size": [None],
            "days_to_close": [None],
            "outcome_at": [scored_at + timedelta(days=3)],
        },
        schema_overrides={
            "outcome_at": pl.Datetime("us", "UTC"),
            "deal_size": pl.Float64,
            "days_to_close": pl.Float64,
        },
    )
    found = harvest(scored, outcomes, project.schema, OutcomeRules(window_days=30), scored_at + timedelta(days=60))
    with project.home.connection() as connection:
        record_events(connection, events, scored_at)
    leads = merged(project.home, found.leads, frozenset()).leads.filter(pl.col("lead_id") == "fresh")
    assert (events_in_history(leads[HISTORY][0]), time_of_history(leads[HISTORY][0])) == (1, scored_at)
    row = dict(zip((f.name for f in project.schema.used), rows_of(leads, project.schema)[0], strict=True))
    assert row["visits_last_week"] == 1.0
    assert row["days_quiet"] == pytest.approx(1 / 24)
    assert row["opens_per_head"] == 2.0


def test_a_trial_on_files_makes_the_model_of_the_database(project: Featured) -> None:
    """What a team tries without a database is what it gets: the same snapshot, to the digest, and the same model."""
    home, folder = project.home, project.home.folder
    lead_file = folder / "leads.csv"
    with pytest.raises(RefusedError, match="--events FILE"):
        try_training(home, home.project, file=lead_file, snapshot=None)
    events = folder / "others.csv"
    events.write_text("lead_id,kind,at\nX-1,visit,2020-01-01\n")
    with pytest.raises(
        RefusedError, match=r"ids of the files do not match\. Leads are such as '.+; events are of 'X-1'"
    ):
        try_training(home, home.project, file=lead_file, snapshot=None, events=events)
    lead, created = project.leads.select("lead_id", "created_at").row(0)
    events.write_text(f"lead_id,kind,at\n{lead},visit,{created.isoformat()}\n")  # its very moment
    with pytest.raises(RefusedError, match=r"1 of the 1,000 leads of .* and no event is from before its lead's time"):
        try_training(home, home.project, file=lead_file, snapshot=None, events=events)
    tried = try_training(home, home.project, file=lead_file, snapshot=None, events=folder / "events.csv")
    assert tried.snapshot_digest == project.scored.card.snapshot_digest
    assert tried.model_digest == project.scored.card.model_digest
    assert tried.feature_set_hash == project.schema.digest


def test_features_are_listed_beside_the_champions(project: Featured) -> None:
    """The one whose code is another, one that is new and one that is gone, each by name."""

    class Registered1(Registered):
        def champion(self) -> Version:
            return project.scored.version

    code = OTHER_CODE.replace("def days_quiet", "def quiet_days") + FRAGILE
    home = with_code(project.home, code)
    vars(home)["registry"] = Registered1(project.scored)
    found, champion = list_features(home)
    with_code(project.home, CODE)
    assert champion == "1"
    assert {feature.name: (feature.in_champion, feature.use) for feature in found} == {
        "days_quiet": ("other", False),
        "opens_per_head": ("same", True),
        "per_head": ("none", True),
        "quiet_days": ("none", True),
        "visits_last_week": ("other", True),
    }
    assert next(f.takes for f in found if f.name == "visits_last_week") == ("events", "at")
