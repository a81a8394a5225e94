"""What a request may say, and how a wrong one is told apart."""

import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.scoring.contract import BadRequestError, LeadIn, contract_of
from leadgate.scoring.reported import decode_outcomes

SCHEMA = LeadSchema(
    id="id",
    target="won",
    features=(
        Feature(name="Company Size", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="call_duration", type=FeatureType.NUMERIC, use=False),
        Feature(name="has.budget", type=FeatureType.BOOLEAN),
    ),
)
CONTRACT = contract_of([SCHEMA])
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lead(features: object, **more: object) -> bytes:
    """A request's body."""
    return json.dumps({"lead_id": "a", "features": features, **more}).encode()


def test_values_come_in_schema_order_with_names_as_they_are() -> None:
    """Names with blanks and dots are fine; an integer is a number; what no model uses is ignored."""
    body = lead({"has.budget": True, "source": " Web ", "Company Size": 7, "call_duration": "?"})
    assert CONTRACT.decode_lead(body) == LeadIn(lead_id="a", values=(7.0, "Web", True))


def test_what_is_left_out_or_null_is_missing() -> None:
    """And so is what a file would call missing: the same words mean the same in both."""
    assert CONTRACT.decode_lead(lead({"source": None})).values == (None, None, None)
    assert CONTRACT.decode_lead(lead({"source": "N/A"})).values == (None, None, None)


@pytest.mark.parametrize(
    ("body", "path", "says"),
    (
        (lead({"Company Size": "7"}), "$.features.Company Size", "Expected `float | null`, got `str`"),
        (lead({"Company Sise": 7}), "$.features.Company Sise", "Did you mean 'Company Size'?"),
        (lead({"has.budget": 1}), "$.features.has.budget", "got `int`"),
        (lead({"source": "a\0b"}), "$.features.source", "NUL"),
        (lead({}, lead_id=""), "$.lead_id", "length >= 1"),
        (lead({}, lead_id="x" * 257), "$.lead_id", "length <= 256"),
        (b'{"lead_id": "a", "features": {"Company Size": 1e999}}', "$.features.Company Size", "out of range"),
        (b'{"lead_id": "a"}', "$", "features"),
        (b"[]", "$", "object"),
    ),
)
def test_a_wrong_field_is_named_by_its_path(body: bytes, path: str, says: str) -> None:
    """The caller learns which field, what was expected, and the nearest name."""
    with pytest.raises(BadRequestError) as caught:
        CONTRACT.decode_lead(body)
    assert caught.value.path == path
    assert says in caught.value.detail


@pytest.mark.parametrize("body", (b"", b"{", b"\xff", b'{"lead_id": NaN}', b'{"lead_id": "\\ud800"}', b"[" * 100_000))
def test_what_is_no_json_has_no_path(body: bytes) -> None:
    """Broken bytes are told apart from a wrong field."""
    with pytest.raises(BadRequestError) as caught:
        CONTRACT.decode_lead(body)
    assert caught.value.path is None or body.startswith(b"[")


@pytest.mark.parametrize("within", (b"%b", b'"lead_id": "a", "features": {%b}'), ids=("lead", "features"))
def test_a_name_of_megabytes_is_told_in_a_line(within: bytes) -> None:
    """The answer and the log repeat its beginning only, and the nearest name is sought for that alone."""
    body = b"{%b}" % (within % (b'"company' + b"x" * 8_000_000 + b'": 1'))
    with pytest.raises(BadRequestError) as caught:
        CONTRACT.decode_lead(body)
    assert caught.value.status == 422
    assert caught.value.detail.startswith("There is no field 'companyxxx")
    assert len(caught.value.detail) < 300
    assert len(caught.value.path or "") < 300


@pytest.mark.parametrize("event_id", ("", "e\n", "\n", "e\r\nx-evil: 1", "ü", "e\0", "e" * 129))
def test_an_event_id_is_one_that_a_header_can_hold(event_id: str) -> None:
    """It comes back as the answer's X-Request-ID."""
    with pytest.raises(BadRequestError) as caught:
        CONTRACT.decode_lead(lead({}, event_id=event_id))
    assert (caught.value.status, caught.value.path) == (422, "$.event_id")


@pytest.mark.parametrize(("count", "length"), ((2_000, 10_000), (20_000, 100)))
def test_texts_that_never_come_again_are_not_kept(count: int, length: int) -> None:
    """Callers who send them cannot fill a worker's memory, be they few and long or many and short."""
    bodies = [lead({"source": f"{i:_<{length}}"}) for i in range(count)]
    tracemalloc.start()
    for body in bodies:
        CONTRACT.decode_lead(body)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_a_field_that_only_the_project_declares_is_ignored() -> None:
    """A CRM that sends what a newer version uses is not refused when an older one answers again."""
    contract = contract_of([SCHEMA], also=["source", "channel"])
    assert contract.decode_lead(lead({"source": "Web", "channel": {"any": ["thing"]}})).values == (None, "Web", None)
    with pytest.raises(BadRequestError, match="Did you mean 'channel'"):
        contract.decode_lead(lead({"chanel": 1}))


@UNTIMED
@given(st.binary(max_size=300))
def test_no_bytes_crash_the_decoder(body: bytes) -> None:
    """Whatever comes in: a lead, or a BadRequestError."""
    try:
        CONTRACT.decode_lead(body)
    except BadRequestError:
        return


@UNTIMED
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "Company Size": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "source": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50),
            "has.budget": st.none() | st.booleans(),
        },
    )
)
def test_every_valid_lead_is_taken(features: dict[str, object]) -> None:
    """Numbers survive to the bit; text survives but for surrounding blanks and words for missing."""
    size, source, budget = CONTRACT.decode_lead(lead(features)).values
    assert size == features.get("Company Size")
    assert budget == features.get("has.budget")
    assert source in (None, str(features.get("source")).strip())


def test_a_batch_names_the_lead_at_fault() -> None:
    """One wrong lead in a thousand can be found."""
    body = json.dumps({"leads": [{"lead_id": "a", "features": {}}, {"lead_id": "b", "features": {"source": 1}}]})
    with pytest.raises(BadRequestError) as caught:
        CONTRACT.decode_batch(body.encode())
    assert caught.value.path == "$.leads[1].features.source"


@pytest.mark.parametrize("count", (0, 1001))
def test_batches_hold_1_to_1000_leads(count: int) -> None:
    """More is refused before anything is scored."""
    body = json.dumps({"leads": [{"lead_id": "a", "features": {}}] * count}).encode()
    with pytest.raises(BadRequestError):
        CONTRACT.decode_batch(body)


def test_outcomes_come_one_or_many() -> None:
    """A CRM's hook sends one, a nightly job a list."""
    one = {"lead_id": "a", "converted": True, "outcome_at": "2026-01-02T03:04:05Z"}
    assert decode_outcomes(json.dumps(one).encode()) == decode_outcomes(json.dumps([one]).encode())


@pytest.mark.parametrize(
    "wrong", ({"converted": 1}, {"deal_size": -1}, {"outcome_at": "2026-01-02T03:04:05"}, {"days": 3})
)
def test_wrong_outcomes_are_refused(wrong: dict[str, object]) -> None:
    """A number for a truth value, a negative deal, a time without a zone, an unknown field."""
    with pytest.raises(BadRequestError):
        decode_outcomes(json.dumps({"lead_id": "a", "converted": True, **wrong}).encode())
