"""Diagnosis."""

from leadgate.views.asking import Ask
from leadgate.views.sources import Sources


def gather(sources: Sources, ask: Ask) -> str:
    """Read what the page shows."""
    del ask
    return sources.project().name
