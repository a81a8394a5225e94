"""What the name of a column says about it (quiet)."""

import re

_CAMEL = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|_")

TARGET_NAMES = (
    "converted",
    "is_converted",
    "conversion",
    "lead_converted",
    "target",
    "label",
    "won",
    "is_won",
    "deal_won",
    "is_customer",
    "customer",
    "became_customer",
    "outcome",
    "purchased",
    "subscribed",
    "signed",
    "success",
    "y",
)
"""Names of targets, the surest first."""

WON_WORDS = frozenset(
    {"won", "converted", "customer", "success", "successful", "subscribed", "accepted", "paid", "sold", "closed_won"}
    | {"purchased", "signed", "positive", "yes", "true", "conversion", "win"}
)
LOST_WORDS = frozenset(
    {"lost", "not_converted", "unconverted", "closed_lost", "no_sale", "rejected", "failed", "failure", "declined"}
    | {"churned", "negative", "no", "false", "not_customer", "open", "unsold", "none"}
)

_ID_WORDS = frozenset({"id", "uuid", "guid", "key", "number", "no", "nr", "num", "identifier", "ref"})
_CREATED_WORDS = frozenset(
    {"created", "date", "time", "timestamp", "received", "inquiry", "enquiry", "submitted", "entered", "registered"}
    | {"signup", "day", "datetime", "added", "creation", "at"}
)
_LATER_WORDS = frozenset(
    {"last", "updated", "update", "modified", "closed", "close", "converted", "conversion", "ended", "end", "due"}
    | {"next", "won", "lost", "changed", "birth", "birthday", "dob", "born", "expiry", "expires", "renewal", "expected"}
    | {"activity", "purchase", "purchased", "signed", "contract", "paid", "deleted", "exported", "follow", "outcome"}
)
_PERSONAL = frozenset(
    {"email", "e mail", "mail", "phone", "telephone", "mobile", "fax", "cell", "name", "first name", "last name"}
    | {"full name", "surname", "forename", "contact name", "address", "street", "iban", "ip", "ip address", "url"}
    | {"website", "linkedin", "phone number", "mobile number", "email address", "company name", "lead name", "domain"}
)
_CODE_WORDS = frozenset({"code", "zip", "zipcode", "postcode", "postal", "plz", "sic", "naics", "category", "cluster"})
_SEGMENT_WORDS = (
    ("source", "origin"),
    ("industry", "sector", "vertical"),
    ("region", "market", "territory"),
    ("country",),
    ("channel", "medium"),
    ("segment", "tier"),
    ("job", "occupation", "profession"),
    ("contact",),
)


def words_of(name: str) -> list[str]:
    """The words of a name in small letters: ``LeadSource_id2`` gives lead, source, id, 2."""
    parts = re.split(r"[\W_]+", name)
    return [word.lower() for part in parts for word in _split_camel(part)]


def _split_camel(part: str) -> list[str]:
    """Split at a capital that follows a small letter or starts a word, and between letters and digits."""
    marked = re.sub(r"(?<=[a-z\u00df-\u00ff])(?=[A-Z\u00c0-\u00de])|(?<=[A-Z])(?=[A-Z][a-z])", "_", part)
    return [word for word in _CAMEL.split(marked) if word]


def names_an_id(name: str) -> bool:
    """Whether a name ends like that of an id, or starts so."""
    words = words_of(name)
    glued = words[-1:] and words[-1] in {"leadid", "prospectid", "recordid", "contactid", "customerid", "rowid"}
    return bool(glued) or bool({*words[:1], *words[-1:]} & _ID_WORDS)


def id_rank(name: str) -> int:
    """0 for the surest name of a lead's id, more for others."""
    words = words_of(name)
    if words == ["id"] or {"lead", "prospect"} & set(words):
        return 0 if words[-1] in {"id", "uuid", "guid", "identifier", "leadid", "prospectid"} else 1
    return 2


def target_rank(name: str) -> int | None:
    """0 for the surest name of a target, more for others; None for any other name."""
    joined = "_".join(words_of(name))
    return TARGET_NAMES.index(joined) if joined in TARGET_NAMES else None


def hints_at_target(name: str) -> bool:
    """Whether one word of a name is that of a target."""
    return bool(set(words_of(name)) & {"converted", "conversion", "target", "label", "won", "purchased", "subscribed"})


def names_creation(name: str) -> int | None:
    """0 when a name speaks of creation, 1 of a time, 2 of neither; None when it speaks of what comes later."""
    words = set(words_of(name))
    if words & _LATER_WORDS:
        return None
    return 0 if words & {"created", "creation"} else 1 if words & _CREATED_WORDS else 2


def names_a_person(name: str) -> bool:
    """Whether a name announces a name, an address or a number to call: personal data, different in every row."""
    return " ".join(words_of(name)) in _PERSONAL


def names_a_code(name: str) -> bool:
    """Whether numbers under this name are labels: codes, postcodes, the ids of other things."""
    words = words_of(name)
    return bool(set(words) & _CODE_WORDS) or words[-1:] == ["id"]


def segment_rank(name: str) -> int | None:
    """The place of a name among those that people break figures down by; None for any other."""
    words = set(words_of(name))
    return next((i for i, known in enumerate(_SEGMENT_WORDS) if words & set(known)), None)
