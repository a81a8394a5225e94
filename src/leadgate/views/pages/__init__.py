"""The pages. Each has a file here that reads and a template of the same name that shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leadgate.views.asking import Ask
from leadgate.views.pages import alerts, audit, diagnosis, drift, leads, models, overview, rollout
from leadgate.views.sources import Sources


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page."""

    name: str
    """Of its template, and of its link's mark."""
    title: str
    path: str
    gather: Callable[[Sources, Ask], Any]
    """Reads all that the template shows as ``page``. Raises NoSuchPageError, LeadgateError."""


PAGES = (
    Page(name="overview", title="Overview", path="/", gather=overview.gather),
    Page(name="rollout", title="Rollout", path="/ui/rollout", gather=rollout.gather),
    Page(name="models", title="Models", path="/ui/models", gather=models.gather),
    Page(name="drift", title="Drift", path="/ui/drift", gather=drift.gather),
    Page(name="leads", title="Leads", path="/ui/leads", gather=leads.gather),
    Page(name="alerts", title="Alerts", path="/ui/alerts", gather=alerts.gather),
    Page(name="diagnosis", title="Diagnosis", path="/ui/diagnosis", gather=diagnosis.gather),
    Page(name="audit", title="Audit", path="/ui/audit", gather=audit.gather),
)
