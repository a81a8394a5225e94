"""Where what a check found is to be seen (quiet)."""

from urllib.parse import urlencode

from leadgate.monitoring.signs import STEP_OF

_OF_FEATURES = ("feature drift", "missing values", "new categories", "range")
_OF_SCORES = ("score drift", "score entropy", "segment scores", "score bands")
_PAGES = {2: "/ui/models", 3: "/ui/drift", 4: "/ui/drift"}


def page_of(check: str, subject: str = "") -> str:
    """The address of the page that shows most of what a check looks at."""
    if check in _OF_FEATURES and subject:
        return f"/ui/drift?{urlencode({'feature': subject})}"
    if check in _OF_SCORES:
        return "/ui/drift"
    return _PAGES.get(STEP_OF.get(check, 0), "/")


def name_of(check: str, subject: str) -> str:
    """A check and what it is about, in words."""
    return f"{check} of {subject}" if subject else check
