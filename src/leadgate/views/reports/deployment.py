"""The report on a version's way to the sales team (quiet)."""

from dataclasses import dataclass
from datetime import datetime

from leadgate.views.reports import blocks, sheet
from leadgate.views.reports.facts import RolloutFacts, VersionFacts
from leadgate.views.reports.phrases import (
    FIGURE,
    MOMENT,
    SHARE,
    SIGNED_FIGURE,
    SIGNED_SHARE,
    Row,
    in_interval,
    joined,
    said,
    table,
    with_interval,
    words,
)
from leadgate.views.reports.report import Block, Code, Known, Report, Section, Table, Text


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the report tells of."""

    model_name: str
    now: datetime
    version: str
    facts: VersionFacts | None
    """None where the registry does not have it."""
    former: str | None
    """The champion before it, or the one that it waits to follow; None where it was the first."""
    rollout: RolloutFacts | None
    """None for a version that went into force without one."""
    comparison: Known | None
    """On the hold-out, with the former champion."""
    routes: Known
    acts: Known
    findings: Known | None
    alerts: Known
    """Those that are open."""

    @property
    def waits(self) -> bool:
        """Whether it has answered nobody so far: no route names it."""
        rows = self.routes.rows
        return self.rollout is None and not any(self.version in (r["champion"], r["challenger"]) for r in rows)


def deployment_report(found: Deployment) -> Report:
    """Lineage, gates, stages, comparison with the former champion, calibration, importance, segments, what to watch."""
    return Report(
        kind="deployment",
        title=f"Deployment of version {found.version}",
        model_name=found.model_name,
        period=_period(found),
        versions=tuple(v for v in (found.former, found.version) if v),
        made_at=found.now,
        changed=tuple(_changed(found)),
        actions=tuple(_actions(found)),
        sections=tuple(
            Section(title=title, blocks=parts)
            for title, parts in (
                ("The way", _way(found)),
                ("Gates", _gates(found)),
                ("Lineage", _lineage(found)),
                ("Hold-out", _holdout(found)),
                (f"Comparison with the {'' if found.waits else 'former '}champion", _comparison(found)),
                ("Calibration", (sheet.holdout_calibration(found.facts),) if found.facts else ()),
                ("Feature importance", _importance(found)),
                ("Segments", (sheet.holdout_segments(found.facts),) if found.facts else ()),
                ("What to watch", _watch(found)),
            )
            if parts
        ),
    )


def _period(found: Deployment) -> str:
    if found.rollout is None:
        return f"version {found.version}, without a rollout"
    row = found.rollout.listed.rows[found.rollout.place]
    end = f"to {row['ended_at']:%Y-%m-%d}" if row["ended_at"] else "and is under way"
    return f"rollout {found.rollout.number}, from {row['started_at']:%Y-%m-%d} {end}"


def _changed(found: Deployment) -> list[Text]:
    told = [_where(found), *_better(found)]
    test = _test(found.rollout)
    return [*told, test] if test else told


def _where(found: Deployment) -> Text:
    """Where the version stands."""
    if found.waits:
        return said(f"Version {found.version} is registered and has answered nobody so far.")
    if found.rollout is None:
        return said(f"Version {found.version} went into force without a rollout: no gate was asked, only the hold-out.")
    steps, last = found.rollout.steps, len(found.rollout.steps.rows) - 1
    since, old = steps.quote(last, "stage_since", form=MOMENT), found.rollout.champion
    stage = found.rollout.stage
    if stage == "full":
        return said(f"Version {found.version} answers every lead since ", since, f" UTC; it replaced version {old}.")
    if stage in ("rolled_back", "rejected"):
        why = steps.quote(last, "comment")
        return said(
            f"Version {found.version} was {words(stage)} at ", since, f" UTC; version {old} answers. Why: ", why
        )
    share = steps.number(last, "challenger_share", form=SHARE)
    return said(
        f"Version {found.version} is in its {words(stage)} since ", since, " UTC, with ", share, " of the leads."
    )


def _better(found: Deployment) -> list[Text]:
    if found.facts is None:
        return [said(f"The registry does not have version {found.version}, so its lineage and hold-out are not here.")]
    at = ("card", "evaluation", "overall")
    own = with_interval(found.facts.known, (*at, "auc"), (*at, "auc_interval"), FIGURE)
    told = said("On leads that it was not trained on its AUC is ", own)
    if found.comparison is None:
        return [said(told, ".")]
    apart = with_interval(
        found.comparison,
        ("comparison", "auc", "difference"),
        ("comparison", "auc", "interval"),
        SIGNED_FIGURE,
    )
    return [said(told, f", against version {found.former} on the same leads ", apart, ".")]


def _test(rollout: RolloutFacts | None) -> Text | None:
    if rollout is None or rollout.tested is None:
        return None
    at = (0, "evidence", "experiment", "test")
    if not rollout.tested.get(*at):
        return None
    lift = with_interval(rollout.tested, (*at, "lift"), (*at, "interval"), SIGNED_SHARE)
    p_value = rollout.tested.number(*at, "p_value", form="{:.2g}")
    return said("In the A/B test: conversion against the former champion's leads ", lift, ", p = ", p_value, ".")


def _actions(found: Deployment) -> list[Text]:
    rollout, told = found.rollout, []
    if found.waits:
        start = "leadgate serve" if found.former is None else f"leadgate rollout start {found.version}"
        told.append(said("Let it answer, if its figures are good enough: ", Code(text=start), "."))
    elif rollout is None:
        told.append(
            said("Let the next version walk through the gates: ", Code(text="leadgate rollout start VERSION"), ".")
        )
    elif rollout.stage not in ("full", "rolled_back", "rejected"):
        told.append(
            said("Gates that do not pass yet: ", _missing(rollout), " See ", Code(text="leadgate rollout status"), ".")
        )
    elif any(row["closed_at"] is None for row in rollout.post_mortems.rows):
        told.append(
            said("Write down what was found and close the post-mortem: ", blocks.how_to_close(rollout.number), ".")
        )
    if found.alerts.rows:
        count = found.alerts.computed(len(found.alerts.rows), "number of open alerts", "{:,}")
        told.append(said("Look at the open alerts (", count, "): ", Code(text="leadgate alerts list"), "."))
    return told or [said("Nothing is asked of anybody; go on with the weekly report.")]


def _missing(rollout: RolloutFacts) -> Text:
    """The gates of the last evaluation that do not pass."""
    if not rollout.evidence:
        return ("it has not been evaluated.",)
    last = rollout.evidence[-1]
    gates = [
        said(v["gate"], ": ", last.quote(0, "verdicts", i, "sentence"))
        for i, v in enumerate(last.get(0, "verdicts") or ())
        if v["answer"] != "pass"
    ]
    return said(joined(gates, "; "), ".") if gates else ("none; the next evaluation moves it.",)


def _way(found: Deployment) -> tuple[Block, ...]:
    if found.waits:
        return (blocks.acts(found.acts),)
    if found.rollout is None:
        known = found.routes
        rows = [
            (
                known.quote(i, "changed_at", form=MOMENT),
                words(r["stage"]),
                known.quote(i, "changed_by"),
                known.quote(i, "reason"),
            )
            for i, r in enumerate(known.rows)
            if found.version in (r["champion"], r["challenger"])
        ]
        return (table("Routes that name it", "at (UTC)|stage|by|why", rows), blocks.acts(found.acts))
    return (blocks.timeline(found.rollout.steps), blocks.approvals(found.rollout.approvals), blocks.acts(found.acts))


def _gates(found: Deployment) -> tuple[Block, ...]:
    if found.rollout is None:
        return ()
    return tuple(
        blocks.gates(known, f"Evidence {row['evidence_id']}, {row['gathered_at']:%Y-%m-%d %H:%M} UTC: {_followed(row)}")
        for known in found.rollout.evidence
        for row in known.rows
    )


def _followed(row: object) -> str:
    assert isinstance(row, dict)
    return f"{words(row['evidence']['state']['stage'])}, then {words(row['act'])}"


def _lineage(found: Deployment) -> tuple[Block, ...]:
    return (sheet.lineage(found.facts),) if found.facts else ()


def _holdout(found: Deployment) -> tuple[Block, ...]:
    return (sheet.holdout(found.facts),) if found.facts else ()


def _comparison(found: Deployment) -> tuple[Block, ...]:
    parts: list[Block] = []
    if found.comparison is not None:
        parts.append(_same_holdout(found.comparison, found.former or "", found.version))
    if found.rollout is not None and found.rollout.compared is not None:
        parts.append(_same_matured(found.rollout.compared, found.rollout))
    return tuple(parts)


def _same_holdout(known: Known, former: str, version: str) -> Table:
    sides = [("comparison", side) for side in ("champion", "challenger")]
    names = [("AUC", "auc"), ("precision", "precision"), ("recall", "recall"), ("Brier score", "brier")]
    rows = [
        (name, *(known.number(*side, key, form=FIGURE) for side in sides))
        for name, key in [*names, ("calibration error", "calibration_error")]
    ]
    rows.append(("leads", *(known.number(*side, "leads") for side in sides)))
    title = "On the leads that both held out"
    return table(title, f"figure|version {former}|version {version}", rows, " rr")


def _same_matured(known: Known, rollout: RolloutFacts) -> Table:
    at = (0, "evidence", "paired")
    named = [
        ("AUC", "auc"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("precision of the top", "top_precision"),
    ]
    rows: list[Row] = [
        (name, *(in_interval(known, *at, side, key, form=FIGURE) for side in ("champion", "challenger")))
        for name, key in [*named, ("calibration error", "calibration_error")]
    ]
    rows.append(("difference in AUC", ("",), in_interval(known, *at, "auc_difference", form=SIGNED_FIGURE)))
    leads = (known.number(*at, "leads"),)
    rows.append(("leads", leads, leads))
    title = f"On the same matured leads, {known.rows[0]['gathered_at']:%Y-%m-%d}"
    return table(title, f"figure|version {rollout.champion}|version {rollout.challenger}", rows, " rr")


def _importance(found: Deployment) -> tuple[Block, ...]:
    chart = sheet.importance(found.facts) if found.facts else None
    return (chart,) if chart else ()


def _watch(found: Deployment) -> tuple[Block, ...]:
    """Parts that it ranks worse, the features it leans on, and what the checks say now."""
    parts: list[Block] = [*_weak(found.facts), *_leans(found.facts)]
    if found.findings is not None:
        urgent = [i for i, row in enumerate(found.findings.rows) if row["severity"] in ("yellow", "red")]
        parts += [
            said(found.findings.quote(i, "check_name"), ": ", found.findings.quote(i, "sentence")) for i in urgent
        ]
    parts.append(blocks.alerts(found.alerts) if found.alerts.rows else ("No alert is open.",))
    return tuple(parts)


def _weak(version: VersionFacts | None) -> list[Text]:
    if version is None:
        return []
    at, known = ("card", "evaluation", "segments"), version.known
    whole = known.get("card", "evaluation", "overall", "auc")
    return [
        said(
            "It ranks leads with ",
            known.quote(*at, i, "segment"),
            " = ",
            known.quote(*at, i, "value"),
            " worse than the others: AUC ",
            known.number(*at, i, "scores", "auc", form=FIGURE),
            ", at most ",
            known.number(*at, i, "scores", "auc_interval", "high", form=FIGURE),
            ".",
        )
        for i, part in enumerate(known.get(*at) or ())
        if part["scores"]["auc_interval"] and whole is not None and part["scores"]["auc_interval"]["high"] < whole
    ]


def _leans(version: VersionFacts | None) -> list[Text]:
    if version is None or not version.ranked_features:
        return []
    most = [
        said(name, " (", version.known.number("importance", name, form="{:.3f}"), ")")
        for name in version.ranked_features[:3]
    ]
    return [said("Drift matters most in what it leans on most, by the AUC lost without it: ", joined(most), ".")]
