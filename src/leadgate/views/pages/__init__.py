"""The pages. Each has a file here that reads and a template of the same name that shows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from leadgate.scoring.desk import Desk
from leadgate.views.asking import Ask
from leadgate.views.pages import alerts, audit, diagnosis, drift, leads, models, overview, rollout
from leadgate.views.sources import Sources


def _nothing_told(sources: Sources, ask: Ask, said: bytes) -> Any:
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page."""

    name: str
    """Of its template, and of its link's mark."""
    title: str
    path: str
    gather: Callable[[Sources, Ask], Any]
    """Reads all that the template shows as ``page``. Raises NoSuchPageError, LeadgateError."""
    consult: Callable[[Desk, Ask], Awaitable[bytes | None]] | None = None
    """Asks the desk first, where what is asked for takes a process of its own; None: it does not..."""
    told: Callable[[Sources, Ask, bytes], Any] = _nothing_told
    """...and reads what the template shows, given what the desk said."""


PAGES = (
    Page(name="overview", title="Overview", path="/", gather=overview.gather),
    Page(name="rollout", title="Rollout", path="/ui/rollout", gather=rollout.gather),
    Page(name="models", title="Models", path="/ui/models", gather=models.gather),
    Page(name="drift", title="Drift", path="/ui/drift", gather=drift.gather),
    Page(name="leads", title="Leads", path="/ui/leads", gather=leads.gather),
    Page(name="alerts", title="Alerts", path="/ui/alerts", gather=alerts.gather),
    Page(
        name="diagnosis",
        title="Diagnosis",
        path="/ui/diagnosis",
        gather=diagnosis.gather,
        consult=diagnosis.consult,
        told=diagnosis.told,
    ),
    Page(name="audit", title="Audit", path="/ui/audit", gather=audit.gather),
)
