"""What features.py makes now, beside what the champion makes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from leadgate.app.wire import Home
from leadgate.errors import NotFoundError

if TYPE_CHECKING:
    from leadgate.leads.feature_code import MadeFeature
    from leadgate.leads.schema import LeadSchema
    from leadgate.scoring.making import FeaturesOut

_SameAs = Literal["same", "other", "none"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A function of features.py, here or in the champion's."""

    name: str
    type: str
    takes: tuple[str, ...]
    """Columns, then ``events`` and ``at`` where it takes them."""
    digest: str | None
    """Of its code and inputs, here; None where only the champion has it."""
    use: bool
    """Whether leadgate.yaml leaves it in use."""
    in_champion: _SameAs
    """Whether the champion has it: with the same code and inputs, with others, or not."""


def list_features(home: Home) -> tuple[list[Listed], str | None]:
    """Every feature of features.py and of the champion's, by name, and the champion's version (None without one)."""
    from leadgate.leads.feature_parsing import every_feature  # noqa: PLC0415

    lead = home.project.lead
    champion = home.registry.champion()
    card = home.registry.card(champion) if champion else None
    theirs = {feature.name: feature for feature in _made(card.lead if card else None)}
    ours = {feature.name: feature for feature in every_feature(lead.code.source, lead)} if lead.code else {}
    unused = {rules.name for rules in lead.made if not rules.use}
    found = [
        _listed(ours.get(name), theirs.get(name), use=name in ours and name not in unused)
        for name in sorted({*ours, *theirs})
    ]
    return found, champion.version if champion else None


def features_of_lead(home: Home, lead_id: str) -> "FeaturesOut":
    """What the champion of the route makes of a lead now; before there is one, what features.py here makes.

    Raises NotFoundError for a lead of which neither columns nor events are known.
    """
    from leadgate.scoring.making import features_of  # noqa: PLC0415
    from leadgate.storage.postgres.events import look_up  # noqa: PLC0415
    from leadgate.storage.postgres.routes import present_route  # noqa: PLC0415

    with home.connection() as connection:
        known = look_up(connection, [lead_id], columns=True, events=True)[lead_id]
        route = present_route(connection, home.project.name)
    if known.columns is None and not known.events:
        raise NotFoundError(
            f"Of lead {lead_id!r} neither columns nor events are known here; take them with `leadgate data import "
            "FILE` and `leadgate events import FILE`. Columns are kept since there is a features.py."
        )
    version = route.champion if route else None
    schema = home.registry.card(home.registry.find(version)).lead if version else home.project.lead
    return features_of(schema, version, lead_id, known, home.clock())


def _made(schema: "LeadSchema | None") -> "tuple[MadeFeature, ...]":
    return schema.code.features if schema and schema.code else ()


def _listed(ours: "MadeFeature | None", theirs: "MadeFeature | None", *, use: bool) -> Listed:
    known = ours or theirs
    assert known is not None
    same: _SameAs = "none" if theirs is None else "same" if ours and ours.digest == theirs.digest else "other"
    return Listed(
        name=known.name,
        type=known.type.value,
        takes=(*known.inputs, *(["events"] if known.takes_events else []), *(["at"] if known.takes_at else [])),
        digest=ours.digest if ours else None,
        use=use,
        in_champion=same,
    )
