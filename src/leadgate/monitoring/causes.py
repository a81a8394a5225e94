"""The causes that a diagnosis can name, what speaks for each and against it, and what to do (quiet).

One table, and no more to it: a cause is a candidate when one of its ``core`` signs is out. Its score adds the weights
of the signs that are out, each times how far, for and against. Signs that a cause only explains, further down the
stream, weigh little; so what lies upstream of all that is seen outweighs what explains a part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A root cause."""

    name: str
    title: str
    step: int
    """The plan's step that finds it."""
    means: str
    """What has happened, in a sentence."""
    core: Mapping[str, float]
    """Signs of which one has to be out, and what each weighs."""
    explains: Mapping[str, float] = field(default_factory=dict)
    """Signs that follow from it, and what each weighs."""
    against: Mapping[str, float] = field(default_factory=dict)
    """Signs that do not follow from it, or that have a better explanation; what each takes away."""
    left_over: bool = False
    """It is what is left when nothing else explains what is seen: never almost certain."""
    action: str
    """The plan's."""
    command: str
    """{feature}: the feature that it is about; {since}: the begin of the window."""


_DOWNSTREAM = {
    "scores have moved": 1.0,
    "bands have moved": 0.5,
    "a worse ranking is expected": 0.5,
    "ranking is worse": 0.5,
    "decisions are worse": 0.5,
    "calibration is off": 0.5,
    "conversion has moved": 0.5,
    "deals have moved": 0.3,
    "sales people are unhappy": 0.3,
    "the mark high does not help": 0.3,
}
"""What other values of features lead to."""
_SPOILED = {"values go missing": 3.0, "another unit": 4.0, "new categories": 2.0}
_NOT_SCORED = {"workers are away": 3.0, "scores are stale": 3.0}
_NOT_REPORTED = {"outcomes have stopped": 3.0, "contacts have stopped": 3.0, "fewer outcomes": 2.0}

CAUSES: tuple[Cause, ...] = (
    Cause(
        name="dead service",
        title="The service is down",
        step=1,
        means="no worker reports, so nobody can be scored",
        core={"workers are away": 6.0},
        explains={"scores are stale": 3.0, "fewer scores": 1.0, "requests fail": 1.0, "leads have no score": 1.0},
        action="Start the service and find out from its log why it ended; then re-assess.",
        command="leadgate serve",
    ),
    Cause(
        name="past outage",
        title="The service was down, and is back",
        step=1,
        means="no worker reported for a while; one does now",
        core={"workers were away": 2.0},
        explains={"fewer scores": 1.0, "requests fail": 0.5, "leads have no score": 1.0},
        against={"scores are stale": 1.0},
        action="Find out from the service's log why it ended, and send the leads of that time to be scored.",
        command="leadgate check show --all",
    ),
    Cause(
        name="failing service",
        title="The service answers with errors",
        step=1,
        means="requests fail by our own fault",
        core={"requests fail": 5.0},
        explains={"leads have no score": 1.0, "fewer scores": 0.5, "answers are slow": 0.5},
        against={"workers are away": 2.0},
        action="Read the service's log for the failures; go back to the version before if they began with a new one.",
        command="leadgate rollback --reason 'requests fail'",
    ),
    Cause(
        name="stale scores",
        title="No lead is sent to be scored",
        step=1,
        means="workers are there, or scores come in batches, and no new lead was scored for hours",
        core={"scores are stale": 5.0},
        explains={"fewer scores": 1.0, "leads have no score": 1.0},
        against={"workers are away": 5.0},
        action="Find out why the CRM's calls or the batch job stopped, and score the leads that were left out.",
        command="leadgate check show --all",
    ),
    Cause(
        name="coverage",
        title="Some leads are never scored",
        step=1,
        means="the CRM reports on leads that no score was asked for",
        core={"leads have no score": 5.0},
        explains={"fewer scores": 1.5, "features have moved": 0.3},
        against=_NOT_SCORED,
        action="Find which leads are left out (a source, a form, a region) and send them to be scored too.",
        command="leadgate check show --all",
    ),
    Cause(
        name="large batches",
        title="Answers are slow: large batches",
        step=7,
        means="requests have many leads, and those are the slow ones",
        core={"large batches": 4.0},
        explains={"answers are slow": 1.0},
        against={"a slower version": 1.0},
        action="Send smaller batches, or score in bulk apart from the leads that somebody waits for.",
        command="leadgate check show --all",
    ),
    Cause(
        name="slow version",
        title="Answers are slow: the model",
        step=7,
        means="a version that is new takes much longer than the one before it",
        core={"a slower version": 5.0},
        explains={"answers are slow": 1.0, "workers are busy": 0.5},
        action="Go back to the version before, and see whether the new one is compiled.",
        command="leadgate rollback --reason 'the new version is slow'",
    ),
    Cause(
        name="overload",
        title="Answers are slow: load",
        step=7,
        means="workers compute nearly all the time, so requests wait for each other",
        core={"workers are busy": 4.0},
        explains={"answers are slow": 1.0, "requests fail": 0.5},
        against={"a slower version": 2.0, "large batches": 1.0},
        action="Run more workers, or ask callers that repeat themselves to stop.",
        command="leadgate serve --workers 4",
    ),
    Cause(
        name="slow surroundings",
        title="Answers are slow: disk, network or another process",
        step=7,
        means="workers are idle while answers take long: they wait for something outside",
        core={"workers wait": 3.0},
        explains={"answers are slow": 1.0},
        against={"large batches": 3.0, "a slower version": 3.0, "workers are busy": 3.0},
        left_over=True,
        action="Look at the disk of the spool, at the network to the callers, and at what else runs there.",
        command="leadgate check show --all",
    ),
    Cause(
        name="model drift",
        title="Model drift: leads convert otherwise than the model learnt",
        step=2,
        means="scores rank worse, while the leads look as they did",
        core={"ranking is worse": 4.0},
        explains={
            "decisions are worse": 1.0,
            "calibration is off": 1.0,
            "conversion has moved": 0.5,
            "sales people are unhappy": 0.5,
            "deals have moved": 0.3,
        },
        against={"features have moved": 2.5, "the source mix has moved": 3.0, **_SPOILED, **_NOT_REPORTED},
        action="Investigate what changed for the leads, then retrain on recent outcomes.",
        command="leadgate train",
    ),
    Cause(
        name="data drift",
        title="Data drift: other leads than the model was trained on",
        step=3,
        means="features are distributed otherwise than at training",
        core={"features have moved": 4.0},
        explains={**_DOWNSTREAM, "outliers": 0.5, "closing time has moved": 0.1},
        against={"another unit": 2.0, "values go missing": 1.0, "new categories": 1.0},
        action="Investigate the sources of the features, then retrain.",
        command="leadgate profile show --feature {feature}",
    ),
    Cause(
        name="missing values",
        title="Values go missing",
        step=4,
        means="a feature has no value more often than at training",
        core={"values go missing": 5.0},
        explains={**_DOWNSTREAM, "features have moved": 0.5},
        against={"another unit": 1.0},
        action="Mend the form or the export that no longer fills the feature.",
        command="leadgate profile show --feature {feature}",
    ),
    Cause(
        name="unit error",
        title="A feature comes in another unit",
        step=4,
        means="values of a feature are many times larger or smaller, or lie outside all that was trained on",
        core={"another unit": 6.0},
        explains={**_DOWNSTREAM, "outliers": 0.5, "features have moved": 0.5},
        action="Mend the export: values have to come in the unit of the training leads.",
        command="leadgate profile show --feature {feature}",
    ),
    Cause(
        name="new categories",
        title="Categories that the model does not know",
        step=4,
        means="a feature has values that no training lead had: renamed, or new",
        core={"new categories": 4.0},
        explains={**_DOWNSTREAM, "features have moved": 0.5},
        action="Map renamed categories back; retrain where they are new.",
        command="leadgate profile show --feature {feature}",
    ),
    Cause(
        name="lead-source mix",
        title="The mix of lead sources has changed",
        step=5,
        means="leads come from other sources than those that the model was trained on",
        core={"the source mix has moved": 5.0},
        explains={**_DOWNSTREAM, "features have moved": 1.0},
        against={"another unit": 2.0},
        action="Ask marketing what changed; retrain with leads of the new mix.",
        command="leadgate performance --by {feature}",
    ),
    Cause(
        name="sales process",
        title="The sales process has changed",
        step=5,
        means="leads are worked otherwise: more or fewer contacts, later ones, longer or shorter ways to a contract",
        core={"closing time has moved": 3.0, "fewer contacts": 3.0, "leads wait otherwise": 1.5},
        explains={
            "conversion has moved": 1.5,
            "calibration is off": 1.0,
            "decisions are worse": 0.5,
            "deals have moved": 0.5,
            "priority is not followed": 1.0,
            "sales people are unhappy": 0.3,
            "ranking is worse": 0.2,
        },
        against={
            "outcomes have stopped": 4.0,
            "contacts have stopped": 4.0,
            "fewer outcomes": 2.5,
            "features have moved": 2.0,
            "the source mix has moved": 2.0,
            "scores are stale": 3.0,
            "workers are away": 3.0,
            "fewer scores": 2.0,
            "the mark high does not help": 1.0,
            **_SPOILED,
        },
        action="Gather the sales team's feedback on what changed, then retrain with outcomes of the new process.",
        command="leadgate performance --since {since}",
    ),
    Cause(
        name="market",
        title="The market has changed",
        step=5,
        means="the same leads, worked the same, convert more or less often",
        core={"conversion has moved": 2.5, "calibration is off": 1.5},
        explains={"decisions are worse": 0.5, "deals have moved": 0.5, "sales people are unhappy": 0.3},
        against={
            "ranking is worse": 2.0,
            "closing time has moved": 2.0,
            "leads wait otherwise": 2.0,
            "fewer contacts": 2.0,
            "features have moved": 3.0,
            "the source mix has moved": 3.0,
            **_SPOILED,
            **_NOT_REPORTED,
        },
        left_over=True,
        action="Gather feedback on what changed outside, then retrain with recent outcomes.",
        command="leadgate train",
    ),
    Cause(
        name="CRM not synced",
        title="The CRM does not report",
        step=6,
        means="outcomes, contacts or both have stopped coming, or come far more seldom, while leads are scored",
        core={"outcomes have stopped": 4.0, "contacts have stopped": 4.0, "fewer outcomes": 3.0},
        explains={
            "fewer contacts": 2.0,
            "conversion has moved": 0.5,
            "closing time has moved": 0.3,
            "ranking is worse": 0.2,
            "leads wait otherwise": 0.3,
            "priority is not followed": 0.3,
        },
        against={"workers are away": 2.0, "scores are stale": 2.0, "fewer scores": 1.0},
        action="Mend the sync with the CRM, then send what was missed; the same again adds nothing.",
        command="leadgate outcomes import FILE",
    ),
    Cause(
        name="wrong threshold",
        title="The thresholds of priority do not fit",
        step=6,
        means="too many leads have priority high, or hardly any, while the scores themselves are as they were",
        core={"the mark high does not help": 5.0, "bands have moved": 3.0},
        explains={"priority is not followed": 0.5, "sales people are unhappy": 0.5},
        against={
            "scores have moved": 3.0,
            "features have moved": 1.0,
            "the source mix has moved": 1.0,
            "fewer contacts": 2.0,
            "calibration is off": 1.0,
            **_SPOILED,
        },
        action="Adjust `thresholds` in leadgate.yaml to what the team can work, and train a version with them.",
        command="leadgate performance --since {since}",
    ),
    Cause(
        name="scores not used",
        title="The sales team does not follow the scores",
        step=6,
        means="leads with priority high are contacted no sooner and no more often than the others",
        core={"priority is not followed": 4.0},
        explains={"sales people are unhappy": 0.5, "ranking is worse": 0.2},
        against={"contacts have stopped": 2.0, "the mark high does not help": 1.0},
        action="Check that the CRM shows the priorities, and retrain the sales team in using them.",
        command="leadgate ratings list",
    ),
)
"""All of them, in the order of the plan's steps; the latency tree belongs to the system."""
