"""What the last run of checks says of drift, in the order in which somebody should look (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from leadgate.storage.postgres.checks import CheckResult
from leadgate.views.health import Mark
from leadgate.views.wording import NONE, count, number

_URGENCY: Mapping[str, int] = {"green": 0, "unknown": 1, "yellow": 2, "red": 3}
_VALUES = ("missing values", "new categories", "range")
"""Checks of a feature's values beside its drift."""
_SCORES = ("score drift", "score bands", "score entropy", "estimated AUC")
_MOST_SEGMENTS = 15


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """How far one feature is from where it was at training."""

    name: str
    mark: Mark
    ks: str
    js: str
    psi: str
    p_value: str
    importance: str
    says: str
    values_mark: Mark
    """The most urgent of missing, unseen and out-of-range values; unknown where none is judged."""
    values_say: str
    address: str
    """Of the page with this feature in full."""
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """Another finding."""

    name: str
    subject: str
    mark: Mark
    value: str
    limit: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Headline:
    """Whether the leads are still those that the version knows."""

    mark: Mark
    sentence: str


def ranked_features(results: Sequence[CheckResult]) -> list[CheckResult]:
    """The most urgent first, and of those of one severity the largest importance times distance.

    The distance counts as a multiple of its limit: KS, JS and spread have different ones.
    """
    found = [r for r in results if r.check_name == "feature drift"]
    return sorted(found, key=lambda r: (-_URGENCY[r.severity], -_pull(r), r.subject))


def _pull(found: CheckResult) -> float:
    if found.value is None or not found.threshold:
        return 0.0
    return found.weight * found.value / found.threshold


def feature_rows(results: Sequence[CheckResult], chosen: str | None, kept: Mapping[str, str]) -> list[FeatureRow]:
    """``kept``: what the address says beside the feature."""
    return [_feature(found, results, chosen, kept) for found in ranked_features(results)]


def _feature(
    found: CheckResult, results: Sequence[CheckResult], chosen: str | None, kept: Mapping[str, str]
) -> FeatureRow:
    values = values_of(found.subject, results)
    worst = max(values, key=lambda r: _URGENCY[r.severity], default=None)
    details = found.details
    return FeatureRow(
        name=found.subject,
        mark=_mark(found.severity),
        ks=_figure(details, "ks"),
        js=_figure(details, "js"),
        psi=_figure(details, "psi"),
        p_value=p_text(found.p_value),
        importance=_figure(details, "importance"),
        says=found.sentence,
        values_mark=_mark(worst.severity if worst else "unknown"),
        values_say="; ".join(r.sentence for r in values if r.severity in ("yellow", "red")),
        address=f"/ui/drift?{urlencode({**kept, 'feature': found.subject})}#feature",
        chosen=found.subject == chosen,
    )


def values_of(feature: str, results: Sequence[CheckResult]) -> list[CheckResult]:
    """What was found of a feature's missing, unseen and out-of-range values."""
    return [r for r in results if r.check_name in _VALUES and r.subject == feature]


def score_rows(results: Sequence[CheckResult]) -> list[FindingRow]:
    """What was found of the scores themselves, of the champion and of the challenger."""
    return [_finding(r) for name in _SCORES for r in results if r.check_name == name]


def value_rows(feature: str, results: Sequence[CheckResult]) -> list[FindingRow]:
    """The same of a feature's values."""
    return [_finding(r) for r in values_of(feature, results)]


def segment_rows(results: Sequence[CheckResult]) -> tuple[list[FindingRow], int]:
    """The segments whose mean score moved most, and how many more there are."""
    found = [r for r in results if r.check_name == "segment scores"]
    found.sort(key=lambda r: (-_URGENCY[r.severity], -(r.value or 0.0), r.subject))
    return [_finding(r) for r in found[:_MOST_SEGMENTS]], max(0, len(found) - _MOST_SEGMENTS)


def headline_of(results: Sequence[CheckResult], version: str | None) -> Headline:
    """The sentence on top."""
    features = ranked_features(results)
    known = [r for r in features if r.severity != "unknown"]
    out = [r for r in features if r.severity in ("yellow", "red")]
    of = f"those that version {version} learned from" if version else "those at training"
    if not known:
        why = next((r.sentence for r in results if r.check_name == "baseline"), None)
        why = why or next((r.sentence for r in features), None) or "no check of a feature is in the last run"
        return Headline(mark="unknown", sentence=f"It cannot be said whether the leads are still {of}: {why}.")
    scores = max((r.severity for r in results if r.check_name == "score drift"), key=_URGENCY.__getitem__, default="")
    if not out:
        told = "; their scores have moved all the same" if scores in ("yellow", "red") else ""
        mark = _mark(scores) if told else "green"
        return Headline(mark=mark, sentence=f"The leads are still {of}: no feature of {len(known)} has drifted{told}.")
    names = ", ".join(r.subject for r in out[:3]) + (f" and {len(out) - 3} more" if len(out) > 3 else "")  # noqa: PLR2004
    return Headline(
        mark=_mark(out[0].severity),
        sentence=f"The leads are not {of} any more: {count(len(out), 'feature')} of {len(known)} "
        f"{'has' if len(out) == 1 else 'have'} drifted, {names}.",
    )


def p_text(value: float | None) -> str:
    """A p-value: 0.032, or < 0.001."""
    return NONE if value is None else "< 0.001" if value < 0.001 else number(value, 2)  # noqa: PLR2004


def _finding(found: CheckResult) -> FindingRow:
    return FindingRow(
        name=found.check_name,
        subject=found.subject,
        mark=_mark(found.severity),
        value=number(found.value),
        limit=number(found.threshold),
        says=found.sentence,
    )


def _figure(details: Mapping[str, float | str | None], name: str) -> str:
    """With three decimals, so that those of one column can be compared."""
    value = details.get(name)
    return f"{value:.3f}" if isinstance(value, int | float) else NONE


def _mark(severity: str) -> Mark:
    assert severity in ("green", "yellow", "red", "unknown")
    return severity  # type: ignore[return-value]  # asserted
