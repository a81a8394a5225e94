"""How a figure is held against what is asked of it (quiet)."""

from dataclasses import replace

from leadgate.leads.rollout_rules import Bar
from leadgate.records import Interval
from leadgate.rollout.evidence import Figure
from leadgate.rollout.verdicts import Answer, Verdict

ENOUGH_LEADS = 100
"""Leads from which shares and scores are compared."""


def against(  # noqa: PLR0917  # six lines of keywords at each call would hide the gates
    gate: str, figure: Figure, bar: Bar, champion: Figure | None, sample: int, form: str
) -> Verdict:
    """A figure against a bar: the interval has to be wholly on the wrong side to fail it."""
    limit = bar.at_least if bar.at_least is not None else bar.at_most
    assert limit is not None
    if bar.of == "champion":
        if champion is None:
            return unknown(gate, "the champion's figure is not known")
        limit *= champion.value
    interval = figure.interval or Interval(low=figure.value, high=figure.value)
    upward = bar.at_least is not None
    good = figure.value >= limit if upward else figure.value <= limit
    hopeless = interval.high < limit if upward else interval.low > limit
    answer: Answer = "pass" if good else "fail" if hopeless else "inconclusive"
    sure = f" ({form.format(interval.low)} to {form.format(interval.high)})" if figure.interval else ""
    sentence = f"{form.format(figure.value)}{sure}, {'at least' if upward else 'at most'} {form.format(limit)}"
    return Verdict(
        gate=gate,
        answer=answer,
        sentence=sentence,
        value=figure.value,
        interval=figure.interval,
        threshold=limit,
        sample=sample,
    )


def coloured(verdict: Verdict, *, red: bool) -> Verdict:
    """A failure that is red by itself where ``red`` says so."""
    if not red:
        return verdict
    return replace(verdict, red=verdict.answer == "fail")


def unknown(gate: str, why: str) -> Verdict:
    """Not enough evidence, which never promotes."""
    return Verdict(gate=gate, answer="wait", sentence=f"not enough evidence: {why}")
