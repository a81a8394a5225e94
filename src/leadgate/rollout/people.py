"""The gates of people: what sales say, and who signs off (quiet)."""

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.evidence import Evidence
from leadgate.rollout.judging import unknown
from leadgate.rollout.verdicts import Answer, Verdict


def rating(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """What sales people say of the scores (proof)."""
    least, few = rules.gates.rating, rules.gates.min_ratings
    if least is None:
        return None
    ratings = evidence.ratings
    if ratings is None or ratings.mean is None or ratings.ratings < few:
        have = ratings.ratings if ratings else 0
        return unknown("sales rating", f"{have} of at least {few} ratings; give some with `leadgate ratings add`")
    answer: Answer = "pass" if ratings.mean >= least else "inconclusive"
    sentence = (
        f"{ratings.mean:.1f} of at least {least:g}, the mean of {ratings.ratings} ratings by {ratings.raters} people"
    )
    return Verdict(
        gate="sales rating",
        answer=answer,
        sentence=sentence,
        value=ratings.mean,
        threshold=least,
        sample=ratings.ratings,
    )


def sign_off(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether a person lets the challenger go on."""
    state = evidence.state
    if state.stage not in rules.sign_off:
        return None
    given = [a for a in evidence.approvals if a.stage == state.stage and a.stage_since == state.since]
    if not given:
        return Verdict(gate="sign-off", answer="wait", sentence="nobody approved yet (`leadgate rollout approve`)")
    return Verdict(gate="sign-off", answer="pass", sentence=f"approved by {given[-1].approved_by}")
