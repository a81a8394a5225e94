"""The versions: how good each one is, where it comes from, when it answered; and two of them side by side.

PostgreSQL knows how they did on their hold-outs and when they answered; the registry adds their cards, and is not
waited for longer than a page may take.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from leadgate.leads.baselines import UnreadableBaselineError, baseline_from_bytes
from leadgate.records import Route
from leadgate.storage.postgres.audit import latest_entries
from leadgate.storage.postgres.checks import last_in_spans
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.profiles import baselines_of, published
from leadgate.storage.postgres.rollouts import Rollout, SignOff, rollouts_of, sign_offs_of
from leadgate.storage.postgres.routes import routes_of
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.model_contest import Contest, contest_of
from leadgate.views.model_curves import Graded, graded
from leadgate.views.model_rows import Known, VersionRow, numbers_of, row_of, spans_of, stints_of
from leadgate.views.model_sheet import Sheet, disagreement, sheet_of
from leadgate.views.registered import Registered, registered
from leadgate.views.sources import Sources

if TYPE_CHECKING:
    from leadgate.models.registry import Version
    from leadgate.views.waiting import Asked

_MOST = 50
"""Versions in the list: the newest."""
_ACTS = 500
_LIVE = timedelta(days=3)
"""How far before the end of its time on the route a version's last live figures are looked for."""
_KEPT = 100


@dataclass(frozen=True, kw_only=True)
class Models:
    """What the page shows."""

    model_name: str
    trouble: str | None
    """Why the registry adds nothing, or nothing new."""
    rows: Sequence[VersionRow]
    """The newest first; those that are shown in full, where some are."""
    names: Sequence[str]
    """Of all versions, to choose from."""
    sheet: Sheet | None = None
    """Of the version that is asked for..."""
    disagreement: str = ""
    contest: Contest | None = None
    """...or of the two."""


def gather(sources: Sources, ask: Ask) -> Models:
    """Read the list, one version, or two of them. Raises NoSuchPageError for versions that are not there."""
    project, registry = sources.project(), registered(sources)
    listed = registry.versions()
    with sources.reader.connection() as connection:
        routes = routes_of(connection, project.name)
        names = numbers_of(listed.value, list(published(connection, project.name)), routes, 1_000)
        wanted = _wanted(ask, names)
        known, trouble = _known(connection, project.name, wanted or names[:_MOST], routes, ask, registry, listed)
        page = Models(
            model_name=project.name, trouble=trouble, rows=[row_of(each, routes) for each in known], names=names
        )
        if len(wanted) == 1:
            return _with_sheet(connection, page, known[0], routes)
    return _with_contest(page, known[0], known[1], registry) if wanted else page


def _wanted(ask: Ask, names: Sequence[str]) -> list[str]:
    """The one or two versions that are asked for; none for the list."""
    asked = [ask.text(name) for name in ("version", "a", "b")]
    wanted = [asked[0]] if asked[0] else [name for name in asked[1:] if name]
    for version in wanted:
        if version not in names:
            there = ", ".join(names[:20]) or "none yet"
            raise NoSuchPageError(f"There is no version {version!r}; there are: {there}.")
    if not asked[0] and wanted and len(set(wanted)) < 2:  # noqa: PLR2004
        raise NoSuchPageError("A comparison takes two versions; choose two different ones.")
    return wanted


def _known(  # noqa: PLR0917  # private
    connection: Connection,
    model_name: str,
    versions: Sequence[str],
    routes: Sequence[Route],
    ask: Ask,
    registry: Registered,
    listed: "Asked[tuple[Version, ...]]",
) -> tuple[list[Known], str | None]:
    """What there is to say of versions, and why the registry does not say more."""
    there = {version.version: version for version in listed.value or ()}
    grades = _GRADES.of(connection, model_name, versions)
    spans = spans_of(versions, routes, ask.now, _LIVE)
    live, unbiased = (
        {f.version: f for f in last_in_spans(connection, model_name, check, spans)}
        for check in ("AUC", "feedback bias")
    )
    cards = {name: registry.card(there[name]) for name in versions if name in there}
    known = [
        Known(
            version=name,
            registered=there.get(name),
            card=cards[name].value if name in cards else None,
            graded=grades.get(name),
            live=live.get(name),
            unbiased=unbiased.get(name),
        )
        for name in versions
    ]
    troubles = [listed.trouble, *(card.trouble for card in cards.values())]
    return known, next((trouble for trouble in troubles if trouble), None)


def _with_sheet(connection: Connection, page: Models, known: Known, routes: Sequence[Route]) -> Models:
    signed = _signed(connection, page.model_name, known.version)
    entries = latest_entries(connection, act="model", most=_ACTS)
    sheet = sheet_of(known, stints_of(known.version, routes), signed, entries, page.model_name)
    role = page.rows[0].role.name
    return replace(page, sheet=sheet, disagreement=disagreement(known.version, role, known.registered))


def _signed(connection: Connection, model_name: str, version: str) -> list[tuple[Rollout, SignOff]]:
    rollouts = [r for r in rollouts_of(connection, model_name) if r.challenger == version]
    return [(rollout, given) for rollout in rollouts for given in sign_offs_of(connection, rollout.rollout_id)]


def _with_contest(page: Models, a: Known, b: Known, registry: Registered) -> Models:
    if a.registered is None or b.registered is None:
        return replace(page, contest=contest_of(a, b, None))
    compared = registry.comparison(a.registered, b.registered)
    return replace(page, contest=contest_of(a, b, compared.value), trouble=page.trouble or compared.trouble)


class _Grades:
    """How versions did on their hold-outs, kept while their baselines stay the same."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], Graded] = OrderedDict()
        self._lock = Lock()

    def of(self, connection: Connection, model_name: str, versions: Sequence[str]) -> Mapping[str, Graded]:
        """By version; one without a baseline that this release reads is left out."""
        digests = {v: d for v, d in published(connection, model_name).items() if v in versions}
        with self._lock:
            kept = {v: self._kept[v, d] for v, d in digests.items() if (v, d) in self._kept}
        missing = [version for version in digests if version not in kept]
        for version, content in (baselines_of(connection, model_name, missing) if missing else {}).items():
            try:
                kept[version] = graded(version, baseline_from_bytes(content))
            except UnreadableBaselineError:
                continue
            with self._lock:
                self._kept[version, digests[version]] = kept[version]
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return kept


_GRADES = _Grades()
