"""The section ``exploration`` of leadgate.yaml: how many leads tell how good the scores are (quiet)."""

from typing import Annotated

from pydantic import Field

from leadgate.leads.schema import Record

_MOST = 0.2
"""Beyond it the mark high would say little, to sales and to the checks."""


class ExplorationRules(Record):
    """Leads whose priority does not hang on their score, so that what becomes of them does not either."""

    share: Annotated[float, Field(ge=0, le=_MOST)] = 0.0
    """Of the leads, drawn by their id; they get priority high, marked as explored. 0: none."""
