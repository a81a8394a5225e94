"""How a text value is read, the same in a file and in a request (quiet, and light enough for serving)."""

from leadgate.leads.schema import MISSING_WORDS


def clean_text(value: str) -> str | None:
    """The value without surrounding blanks; None when it is one of the words for "no value"."""
    stripped = value.strip()
    return None if stripped.lower() in MISSING_WORDS else stripped
