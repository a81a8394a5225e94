"""Leadgate takes a lead-scoring model to production and keeps it good there."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadgate.leads.events import Event, Events

__all__ = ["Event", "Events", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What a features.py imports, at its first use: the command line needs none of it to start."""
    if name in {"Event", "Events"}:
        from leadgate.leads import events  # noqa: PLC0415

        return getattr(events, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
