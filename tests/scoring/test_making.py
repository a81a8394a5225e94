"""The features.py of a route's versions: each finds its own values, whatever the others call theirs."""

from datetime import UTC, datetime

import pytest

from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.scoring.contract import contract_of
from leadgate.scoring.making import NO_EVENTS, making_of

AT = datetime(2026, 6, 1, tzinfo=UTC)
TWICE = "def x(a: float | None) -> float | None:\n    return None if a is None else 2 * a\n"


def schema(*columns: str, code: str | None = None, unused: tuple[str, ...] = ()) -> LeadSchema:
    """Numeric columns, and features of them."""
    features = tuple(Feature(name=name, type=FeatureType.NUMERIC, use=name not in unused) for name in columns)
    plain = LeadSchema(id="lead_id", timestamp="at", target="won", features=features)
    if code is None:
        return plain
    return plain.model_copy(update={"code": parse_features(code, plain, "features.py")})


def test_a_name_may_be_a_column_of_one_version_and_made_by_another() -> None:
    """A team that moves a column into features.py: both versions can stand on one route, each with its own value."""
    before, after = schema("a", "x"), schema("a", code=TWICE)
    contract = contract_of([before, after])
    making = making_of([before, after], [feature.name for feature in contract.features])
    assert making is not None
    values, failures = making.extend((3.0, 9.0), NO_EVENTS, AT)
    assert failures == ()
    assert [values[i] for i in making.places_of(before)] == [3.0, 9.0]
    assert [values[i] for i in making.places_of(after)] == [3.0, 6.0]
    assert making.made_places(before) == {}
    assert [values[i] for i in making.made_places(after).values()] == [6.0]


def test_versions_share_what_the_same_code_makes() -> None:
    """A comment is no other code, and is not computed twice; another operator is."""
    one, same, other = (schema("a", code=code) for code in (TWICE, f"# again\n{TWICE}", TWICE.replace("2 *", "3 +")))
    making = making_of([one, same], ["a"])
    both = making_of([one, other], ["a"])
    assert making is not None
    assert both is not None
    assert (len(making.makers), making.width, making.places_of(one)) == (1, 2, making.places_of(same))
    assert both.extend((5.0,), NO_EVENTS, AT)[0] == (5.0, 10.0, 8.0)
    assert (both.places_of(one), both.places_of(other)) == ([0, 1], [0, 2])


def test_a_column_that_only_a_feature_takes_is_taken() -> None:
    """With `use: false` it is no feature of the model, and a request sends it; a column that nothing takes is not."""
    version = schema("a", "b", "c", code=TWICE, unused=("a", "c"))
    contract = contract_of([version])
    assert [feature.name for feature in contract.features] == ["a", "b"]
    making = making_of([version], ["a", "b"])
    assert making is not None
    values, _ = making.extend(contract.decode_lead(b'{"lead_id": "L", "features": {"a": 4}}').values, NO_EVENTS, AT)
    assert [values[i] for i in making.places_of(version)] == [None, 8.0]
    assert contract.decode_lead(b'{"lead_id": "L"}').values == ()
    assert contract.read_columns({"a": True, "b": 7, "c": 1}) == (None, 7.0)


def test_without_code_nothing_is_made() -> None:
    """And a request without features is refused as it was."""
    assert making_of([schema("a")], ["a"]) is None
    with pytest.raises(Exception, match="missing required field `features`"):
        contract_of([schema("a")]).decode_lead(b'{"lead_id": "L"}')
