"""Writes what an inspection found as a leadgate.yaml that teaches its reader (quiet)."""

import re
from collections.abc import Iterator

import yaml

from leadgate.leads.inspection import Column, Inspection, Role
from leadgate.leads.schema import FeatureType

_LISTED_CATEGORIES = 30


def write_yaml(
    inspection: Inspection, *, source: str, name: str = "lead-scoring", least_auc: float | None = None
) -> str:
    """The text of a leadgate.yaml; ``source`` names the file that was looked at, ``name`` the registered model.

    ``least_auc`` stands for the plan's thresholds in the gates of a retraining, which not every company's leads reach.
    """
    found = {role: [c for c in inspection.columns if c.role is role] for role in Role}
    return "\n".join(
        [
            *_head(inspection, source, name),
            *_lead(inspection),
            "  # A column a line. Numbers have a range, wide on purpose: a row outside it goes to the quarantine.",
            "  # `missing` is the largest share of an import that may lack the value. `use: false` keeps a column out",
            "  # of models and in the data. Categories that are not listed are accepted and reported;",
            "  # `unknown: reject` quarantines them instead.",
            "  features:",
            *(line for c in found[Role.FEATURE] for line in _feature(c)),
            *_suspects(found[Role.SUSPECT]),
            *_left_out(found[Role.LEFT_OUT]),
            "  # Features of your own are functions in features.py beside this file (docs/features.md); they need no",
            "  # settings, and may have some:",
            "  # made:",
            "  #   pages_per_visit: {range: [0, 200], missing: 0.5, use: true}",
            *_segments(inspection),
            *(_TAIL if least_auc is None else _with_gates(least_auc)),
        ]
    )


def summarise(inspection: Inspection) -> list[tuple[str, str, str, str, str]]:
    """Rows for a table: column, what it is, share missing, AUC alone, why."""
    order = list(Role)
    columns = sorted(inspection.columns, key=lambda c: order.index(c.role))
    return [
        (
            c.name,
            f"{c.role.value}, {c.type.value}" if c.type else c.role.value,
            f"{c.missing:.1%}",
            "" if c.auc is None else f"{c.auc:.2f}",
            "; ".join(c.reasons),
        )
        for c in columns
    ]


def _head(inspection: Inspection, source: str, name: str) -> list[str]:
    rate = inspection.converted / max(1, inspection.labelled)
    return [
        (
            f"# Written by `leadgate init` from {_one_line(source)}: {inspection.rows:,} leads, {rate:.1%} of the "
            f"{inspection.labelled:,} labelled ones converted."
        ),
        "# It is yours: read it, change it, keep it in Git. A misspelt key is an error that names the nearest.",
        f"name: {quote(name)}  # of the registered model",
        "",
    ]


def _lead(inspection: Inspection) -> list[str]:
    why = {c.role: _one_line("; ".join(c.reasons)) for c in inspection.columns if c.type is None}
    when, timestamp = inspection.converted_when, inspection.timestamp
    return [
        "# What a lead is. id, timestamp and target were chosen by `leadgate init`; name another column to change one,",
        "# or run init again with --id, --timestamp or --target.",
        "lead:",
        f"  id: {quote(inspection.id)}  # names a lead; {why[Role.ID]}",
        f"  timestamp: {quote(timestamp)}  # when the lead was created; {why[Role.TIMESTAMP]}"
        if timestamp
        else "  # timestamp: COLUMN  # no column with the time of creation was found; splits by time need one",
        f"  target: {quote(inspection.target)}  # did it convert? An empty cell is not known yet; {why[Role.TARGET]}",
        f"  converted_when: {quote(when)}  # the target's value that means yes; any other is no"
        if when is not None
        else "  # converted_when: VALUE  # not needed: the target has true/false, yes/no or 1/0",
        "",
    ]


def _feature(column: Column) -> Iterator[str]:
    if column.reasons:
        yield f"    # check: {_one_line('; '.join(column.reasons))}"
    yield f"    {quote(column.name)}: {{{', '.join(_settings(column))}}}"


def _suspects(columns: list[Column]) -> Iterator[str]:
    if not columns:
        return
    yield "    # Leakage suspects: they seem to know the outcome, as columns do that are filled in as a deal goes on."
    yield "    # Say `use: true` where the value is known, just so, at the moment a new lead is scored."
    for column in columns:
        yield f"    # suspect: {_one_line('; '.join(column.reasons))}"
        yield f"    {quote(column.name)}: {{{', '.join(['use: false', *_settings(column)])}}}"


def _left_out(columns: list[Column]) -> Iterator[str]:
    if columns:
        yield "    # Left out altogether; declare one here to take it in:"
    for column in columns:
        yield f"    #   {quote(column.name)}: {_one_line('; '.join(column.reasons))}"


def _settings(column: Column) -> Iterator[str]:
    assert column.type is not None
    yield f"type: {column.type.value}"
    if column.range is not None:
        yield f"range: [{_number(column.range[0])}, {_number(column.range[1])}]"
    yield f"missing: {1.0 if column.allowed_missing is None else column.allowed_missing:g}"
    listed = column.type is FeatureType.CATEGORICAL and column.categories is not None
    if listed and column.categories and len(column.categories) <= _LISTED_CATEGORIES:
        yield f"categories: [{', '.join(quote(category) for category in column.categories)}]"


def _segments(inspection: Inspection) -> list[str]:
    names = ", ".join(quote(name) for name in inspection.segments)
    return ["", "  # Every evaluation is broken down by these, too.", f"  segments: [{names}]", ""]


def _with_gates(least_auc: float) -> list[str]:
    """The tail with gates that this file's leads can reach."""
    said = (
        f"    # The plan asks 0.87 and 0.85. {least_auc:g} is the AUC of the best column of your file alone, less",
        "    # chance: a model below it is broken. Raise both once your first version says what your leads allow.",
        f"    challenger_auc: {least_auc:g}   # on the hold-out, to become challenger",
        f"    alert_auc: {least_auc:g}        # below it nothing is registered, and people are told",
    )
    place = next(i for i, line in enumerate(_TAIL) if line.startswith("    challenger_auc:"))
    return [*_TAIL[:place], *said, *_TAIL[place + 2 :]]


def quote(text: str) -> str:
    """A YAML scalar, on one line, that reads back as this very text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text)
    if plain and yaml.safe_load(text) == text:
        return text
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return dumped.rstrip("\n")


def _number(value: float) -> str:
    """A YAML number that reads back as this very float; YAML 1.1 wants a point before an exponent."""
    text = f"{value:.15g}"
    return f"{text.replace('e', '.0e')}" if "e" in text and "." not in text else text


def _one_line(text: str) -> str:
    """Text that is safe in a comment: no line ends, nothing that YAML forbids."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


_TAIL = """\
# What an import tolerates.
imports:
  quarantine_limit: 0.01  # share of bad rows above which a whole file is refused

# How the leads that judge a model are set apart.
split:
  by: hash      # by id and date: a held-out lead stays held out as leads are added; `time` holds out the latest
  holdout: 0.2  # share of the labelled leads that no model is trained on

# What is trained.
model:
  kind: logistic_regression  # or hist_gradient_boosting, lightgbm
  hyperparameters: {}        # of the estimator, such as {C: 0.5} or {max_iter: 200, learning_rate: 0.05}
  search: null               # or {grid: {C: [0.1, 0.3, 1, 3]}, trials: 20}: each training tries them, keeps the best
  calibration: none          # or sigmoid, isotonic: corrects probabilities that are too bold or too timid
  rare_below: 10             # categories of fewer training leads are taken together
  max_categories: 100        # of one feature; the rarer ones beyond that are taken together, too
  seed: 42                   # the same data and seed give the same model

# Where a score becomes a priority, or a decision.
thresholds:
  high: 0.7      # priority is high above this score
  medium: 0.4    # medium above this one, else low
  decision: 0.5  # precision and recall count a lead above it as "will convert"

# How what became of a lead is matched to its scores.
outcomes:
  window_days: 60         # an outcome counts for a score when it comes within this many days after it
  silence_means: unknown  # or not_converted, where the CRM reports wins only

# Sales work what is scored high, so what becomes of leads leans to the scores. A share of the leads that is drawn at
# random gets priority high whatever the score, marked as explored: what becomes of those tells how good the scores are.
exploration:
  share: 0.0  # 0.02 is a good beginning, 0.2 the most; `leadgate serve` reads it when it starts

# How far evidence must carry a challenger, and how fast. A rollout keeps the rules that it started with.
rollout:
  shadow: {min_days: 7, max_days: 14}                   # it scores every lead, and nobody is told
  canary: {share: 0.1, min_days: 7, max_days: 14}       # it answers a tenth of the leads
  ab_test: {share: 0.5, min_days: 14, max_days: 28}     # half of them; outcomes decide
  full: {min_days: 17.5, max_days: 28}                  # all of them, still watched
  sign_off: [shadow, ab_test]  # stages that it leaves only with a person's approval
  approve_own_model: true      # false: not that of the person who trained it
  priority: quantiles          # both versions mark the same share high; scores: by thresholds, whatever that gives
  capacity: 0.2                # share of the leads that the sales team can work
  gates:
    # `of: champion` makes a threshold a multiple of the champion's figure on the same leads; null switches a gate off.
    auc: {at_least: 0.85}                # on matured leads; {at_least: 0.98, of: champion} suits any company's leads
    precision: {at_least: 0.8}           # at thresholds.decision
    recall: {at_least: 0.8}              # at thresholds.decision
    calibration_error: {at_most: 0.05}   # mean distance of probability and conversion rate
    ab_auc: {at_least: 0.87}             # on the leads of the A/B test
    rating: 8                            # mean of the sales ratings in the A/B test
  experiment:
    min_lift: 0.05         # relative lift of the conversion rate that a promotion needs to show
    detectable_lift: 0.1   # that the planned size is to see; `leadgate rollout plan` says what that takes
    power: 0.95            # with this probability
    horizon_days: null     # a conversion counts within so many days of the first score; null: outcomes.window_days

# What `leadgate check run` judges. Each limit has a yellow and a red; an alarm needs it passed beyond chance, too.
monitoring:
  window_days: 7         # scores of this span are held against the training leads
  matured_days: 28       # leads of this span, before the outcome window, are judged by their outcomes
  false_discovery: 0.01  # share of the alarms of a run that is false on average
  coverage: 0.95         # of the leads that the CRM reports on, the share that has a score
  drift:
    ks: {yellow: 0.15, red: 0.25}    # Kolmogorov-Smirnov statistic of a numeric feature
    js: {yellow: 0.10, red: 0.20}    # Jensen-Shannon divergence, in nats
  model:
    auc_at_least: 0.85                      # for versions that reached it on their hold-out; null: not asked
    auc_loss: {yellow: 0.05, red: 0.10}     # below the hold-out's AUC
    calibration: {yellow: 0.05, red: 0.10}  # mean distance of probability and conversion rate
    feedback_bias: 0.02                     # AUC that following the scores may add or take, by explored leads
  integration:
    sync_hours: {yellow: 48, red: 96}  # since the CRM last sent outcomes, or contacts
    contacts_a_day: null               # leads that the team can contact; null: as many as it did
    source_feature: null               # says where a lead comes from; null: found by its name

# When a model is trained anew, on what, and what the new one has to be.
retraining:
  triggers:  # what asks for it; null switches one off
    schedule: "0 2 * * sun"  # minute hour day month weekday, in UTC
    auc_below: 0.85          # of matured leads, surely; for a champion that reached it on its hold-out
    drifted_features: 2      # more than these are an emergency; one asks people to look
    rating: true             # a sales rating surely below monitoring.business.rating is an emergency
    new_leads: 10000         # more with an outcome than these since the last training
  cool_down_days: 7            # before the regular training, and before another for the same reason
  emergency_cool_down_days: 1  # before one that an emergency, or many new leads, ask for
  most_a_month: 6              # trainings that triggers start in 30 days
  least_new_leads: 100         # with fewer new leads with an outcome there is nothing new to learn
  window_days: 180             # a model of the last leads is tried beside one of all, the better is kept; null: all
  compare_days: 90             # held-out leads of this span compare the new version with the champion
  gates:
    challenger_auc: 0.87   # on the hold-out, to become challenger; null where no model of yours reaches it
    alert_auc: 0.85        # below it nothing is registered, and people are told; null: not asked
    champion_margin: 0.01  # AUC that it may lie below the champion's, on the same recent leads
    locked_margin: 0.03    # the same for the best champion so far, on leads whose outcomes were locked with it
    unexplained_loss: 0.05 # that the champion may have lost of late, where the new one gains nothing: wrong labels?
    relabelled: 0.02       # share of the locked outcomes that may have changed since
  rollout: auto  # a version that passes goes into the shadow by itself; ask: a person starts its rollout

# What `leadgate worker` does by itself. When: minute hour day month weekday, in UTC; null: only by hand.
worker:
  schedule:
    checks: "*/15 * * * *"         # over monitoring.window_days; after each run of checks the alerts follow
    daily_checks: "20 3 * * *"     # over one day
    weekly_checks: "40 3 * * mon"  # over 28 days
    rollout: "5-59/15 * * * *"     # what `leadgate rollout evaluate` does
    retraining: "0 * * * *"        # asks the triggers of retraining, and trains where they say so
    alerts: "* * * * *"            # delivers what waits
    profiles: "50 * * * *"         # what `leadgate profile tidy` does
    records: "10 2 * * *"          # removes what keep_days says
    prediction_log: "30 2 * * *"   # what `leadgate logs retain` does, where keep_days.prediction_log is set
  keep_days:
    prediction_log: null  # older days move into the Delta table; null: only by hand
    measurements: 90      # of the service
    checks: 30            # then the last run of each day stays
    rollout_evidence: 30  # after the end; then an evaluation a day stays, and all that steps and audit log name
    runs: 90              # of the jobs above
    messages: 90          # of alerts, once they are delivered

# Who is told of what. The URL of a channel is a secret: channel ops has it in LEADGATE_ALERT_OPS.
alerts:
  channels: []      # names, such as [ops, mail]; docs/alerts.md has a URL of each kind
  routes: {green: null, yellow: null, red: null}  # of each level; null: all; green asks for nobody
  fire_after: 2     # yellow in so many runs, one after the other, fires; red does at once
  resolve_after: 2  # green in so many runs resolves
  several: 2        # so many metrics out at once are red; null: never
  remind_hours: {yellow: 24, red: 4}  # again, until somebody acknowledges
  rollback_on_red: true               # red that a live challenger can be the cause of takes it back
""".splitlines()
_TAIL.append("")
