"""Tables and charts that several reports have (quiet)."""

from collections.abc import Sequence

from leadgate.stats.proportions import wilson
from leadgate.views.reports.facts import RuleFacts
from leadgate.views.reports.phrases import (
    COUNT,
    DAYS,
    EXACT,
    FIGURE,
    MOMENT,
    MONEY,
    SHARE,
    SIGNED_SHARE,
    Row,
    answer,
    computed_interval,
    said,
    severity,
    table,
    with_interval,
    words,
)
from leadgate.views.reports.report import Block, Chart, Code, Known, Series, Table, Text
from leadgate.views.reports.rule import EXPLAINED

_WILSON = "Wilson's 95 % interval of a share, from conversions and leads"


def timeline(steps: Known) -> Table:
    """What happened in a rollout, act by act."""
    rows = [
        (
            steps.number(i, "day", form=DAYS),
            steps.quote(i, "acted_at", form=MOMENT),
            words(row["act"]),
            words(row["stage"]),
            steps.number(i, "challenger_share", form=SHARE),
            steps.quote(i, "acted_by"),
            steps.number(i, "evidence_id", form="{}"),
            steps.quote(i, "comment"),
        )
        for i, row in enumerate(steps.rows)
    ]
    return table("Acts", "day|at (UTC)|act|stage|share of leads|by|evidence|why", rows, numeric="r   r r")


def gates(known: Known, title: str, *, only: Sequence[str] | None = None) -> Table:
    """What the gates said of a row of evidence; ``only`` some answers."""
    at = (0, "verdicts")
    rows = [
        (
            verdict["gate"],
            answer(verdict["answer"]),
            known.number(*at, i, "value", form=EXACT),
            known.number(*at, i, "threshold", form=EXACT),
            known.number(*at, i, "sample", form=COUNT),
            known.quote(*at, i, "sentence"),
        )
        for i, verdict in enumerate(known.get(*at) or ())
        if only is None or verdict["answer"] in only
    ]
    return table(title, "gate|says|value|asked|resting on|what was found", rows, numeric="  rrr")


def approvals(known: Known) -> Table:
    """Who signed what off."""
    rows = [
        (
            words(row["stage"]),
            known.quote(i, "approved_at", form=MOMENT),
            known.quote(i, "approved_by"),
            known.quote(i, "comment"),
        )
        for i, row in enumerate(known.rows)
    ]
    return table("Sign-offs", "stage|at (UTC)|by|comment", rows)


def acts(known: Known, most: int = 40) -> Table:
    """Entries of the audit log, the last ``most``."""
    shown = list(enumerate(known.rows))[-most:]
    rows = [
        (
            known.number(i, "entry", form="{}"),
            known.quote(i, "happened_at", form=MOMENT),
            known.quote(i, "actor"),
            known.quote(i, "act"),
            known.quote(i, "subject"),
        )
        for i, _ in shown
    ]
    return table("Entries of the audit log", "no.|at (UTC)|who|act|on what", rows, numeric="r")


def calibration(known: Known) -> Chart:
    """Predicted against actual conversion of the matured leads."""
    intervals = [wilson(row["conversions"], row["leads"]) for row in known.rows]
    rows = [
        (
            said(known.number(i, "low", form=FIGURE), " to ", known.number(i, "high", form=FIGURE)),
            known.number(i, "leads"),
            known.number(i, "mean_score", form=SHARE),
            said(
                known.number(i, "rate", form=SHARE),
                " (",
                known.computed(intervals[i].low, _WILSON, SHARE),
                " to ",
                known.computed(intervals[i].high, _WILSON, SHARE),
                ")",
            ),
        )
        for i in range(len(known.rows))
    ]
    return calibration_chart(
        "Calibration on matured leads",
        [row["mean_score"] for row in known.rows],
        [row["rate"] for row in known.rows],
        [(interval.low, interval.high) for interval in intervals],
        rows,
    )


def calibration_chart(
    title: str,
    predicted: Sequence[float],
    came: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    rows: Sequence[Row],
) -> Chart:
    """Points of what was predicted and what came; ``rows`` are those of its table."""
    inside = sum(low <= p <= high for p, (low, high) in zip(predicted, intervals, strict=True))
    series = Series(
        name="share converted, with 95 % interval",
        x=tuple(predicted),
        y=tuple(came),
        low=tuple(low for low, _ in intervals),
        high=tuple(high for _, high in intervals),
    )
    return Chart(
        title=title,
        alt=f"Share converted against predicted probability in {len(rows)} parts of the leads; in {inside} of them the "
        "prediction lies within the interval of what came.",
        kind="calibration",
        x="predicted",
        y="converted",
        series=(series,),
        percent=True,
        table=table(title, "score|leads|predicted|converted (95 %)", rows, "rrrr"),
    )


def segments(known: Known) -> Table:
    """Matured leads by segment."""
    rows = [
        (
            known.quote(i, "feature"),
            known.quote(i, "value"),
            known.number(i, "matured"),
            known.number(i, "rate", form=SHARE),
            known.number(i, "mean_score", form=SHARE),
            known.number(i, "deal_size", form=MONEY),
            known.number(i, "revenue", form=MONEY),
        )
        for i in range(len(known.rows))
    ]
    columns = "feature|value|matured leads|converted|predicted|mean deal|revenue"
    return table("Matured leads by segment", columns, rows, "  rrrrr")


def alerts(known: Known) -> Table:
    """The alerts of a span."""
    rows = [
        (
            known.number(i, "alert_id", form="{}"),
            severity(row["worst"]),
            known.quote(i, "check_name"),
            known.quote(i, "subject"),
            known.quote(i, "opened_at", form=MOMENT),
            known.quote(i, "resolved_at", form=MOMENT) if row["resolved_at"] else "open",
            known.quote(i, "sentence"),
        )
        for i, row in enumerate(known.rows)
    ]
    return table("Alerts", "no.|at worst|check|of|opened (UTC)|resolved (UTC)|what was found", rows, "r")


def paid_table(known: Known, champion: str) -> Table:
    """What the leads of each stage paid, by version."""
    rows = [
        (
            words(row["stage"]),
            said(
                "version ", known.quote(i, "model_version"), " (champion)" if row["model_version"] == champion else ""
            ),
            known.number(i, "exposed"),
            known.number(i, "matured"),
            known.number(i, "conversions"),
            known.number(i, "rate", form="{:.2%}"),
            known.number(i, "revenue", form=MONEY),
            known.number(i, "revenue_per_lead", form="{:,.2f}"),
        )
        for i, row in enumerate(known.rows)
    ]
    columns = "stage|answered by|leads|matured|conversions|converted|revenue|revenue a lead"
    return table("What the leads came to", columns, rows, "  rrrrrr")


def rule_blocks(facts: RuleFacts | str) -> tuple[Block, ...]:
    """The simple rule against the model, in a sentence and a table; or why there is none."""
    if isinstance(facts, str):
        return (said(f"A simple rule cannot be held against the model yet: {facts}."),)
    known, found, signs = facts.known, facts.contest, facts.signs
    how = "the rule's points against the model's score on the same leads"
    test = computed_interval(
        known,
        (found.difference.difference, found.difference.interval.low, found.difference.interval.high),
        "DeLong's paired test of the two AUCs",
        "{:+.3f}",
    )
    counts = [("leads", found.leads), ("conversions", found.conversions)]
    rows = [
        *((name, known.computed(n, f"number of {name}"), known.computed(n, f"number of {name}")) for name, n in counts),
        ("AUC", *(known.computed(x, how, FIGURE) for x in (found.model_auc, found.rule_auc))),
        *(
            (
                f"converted, first {name}",
                *(known.computed(top[i], how, SHARE) for top in (found.model_top, found.rule_top)),
            )
            for i, name in enumerate(("10 %", "20 %"))
        ),
    ]
    p_value = known.computed(found.difference.p_value, "DeLong's paired test of the two AUCs", "{:.2g}")
    verdict = "the model ranks better" if found.difference.interval.low > 0 else "the model does not surely rank better"
    if found.difference.interval.high < 0:
        verdict = "the rule ranks better: the model is worth nothing here"
    return (
        (EXPLAINED,),
        said("Here: ", "; ".join(sign.says() for sign in signs), "."),
        said("AUC of the model minus that of the rule: ", test, ", p = ", p_value, "; ", verdict, "."),
        table(
            f"Version {facts.version} and the rule on the same matured leads",
            "what|model|rule",
            rows,
            " rr",
        ),
    )


def change_of(known: Known, *at: str | int) -> Text:
    """A relative change and its interval, as evidence has it under change and interval."""
    return with_interval(known, (*at, "change"), (*at, "interval"), SIGNED_SHARE)


def how_to_close(number: int) -> Code:
    """The command that closes a post-mortem."""
    return Code(text=f'leadgate rollout postmortem --rollout={number} --findings "..."')
