"""Answers with reasons: what the model took from a lead, beside its score.

The score comes first. Reasons are worked out in a thread of their own, in the time that is left; whatever goes wrong
with them, the score is answered, and a sentence says why there are none.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from urllib.parse import parse_qsl

import msgspec

from leadgate.models.reasons import Reasons, no_reasons, reasons_of_row
from leadgate.records import Prediction
from leadgate.scoring.answering import Arm, answer
from leadgate.scoring.contract import BadRequestError, ExplainedAnswer, LeadIn, ReasonOut
from leadgate.scoring.service import BusyError, Service

Asked = tuple[LeadIn, Prediction, Arm]
"""A lead that was scored, and by which version."""

_NOT_NOW = "The reasons would have kept the score waiting; ask for them again, or with fewer leads at once."
_FAILED = "The reasons could not be worked out; the operator finds why in the log, by the request id."

_NOTHING = "No feature moves this score by as much as a tenth of a point."

log = logging.getLogger("leadgate.scoring")


def asks_for_reasons(query: bytes) -> bool:
    """Whether a query says ``explain=true``. Raises BadRequestError for an ``explain`` that is no yes or no."""
    if not query:
        return False
    given = [value for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if name == "explain"]
    if given not in ([], ["true"], ["false"]):
        raise BadRequestError("explain is true or false, and said once.", "explain")
    return given == ["true"]


async def explained_answers(service: Service, asked: Sequence[Asked]) -> list[ExplainedAnswer]:
    """The answers with the reasons of each score, by the version that gave it."""
    patience = service.limits.request_s / 2
    until = perf_counter() + patience
    try:
        # Who waits for a turn waits no longer than that; who has one ends by then, but for the lead in hand.
        found = await asyncio.wait_for(service.explaining.run(partial(_explain, asked, until)), 1.5 * patience)
    except (BusyError, TimeoutError):
        found = [no_reasons(arm.version, _NOT_NOW) for _, _, arm in asked]
    return [_explained(prediction, arm, why) for (_, prediction, arm), why in zip(asked, found, strict=True)]


def _explain(asked: Sequence[Asked], until: float) -> list[Reasons]:
    return [_explain_one(one, until) for one in asked]


def _explain_one(asked: Asked, until: float) -> Reasons:
    lead, prediction, arm = asked
    if perf_counter() > until:
        return no_reasons(arm.version, _NOT_NOW)
    try:
        return reasons_of_row(arm.scored, lead.values if arm.pick is None else arm.pick(lead.values))
    except Exception as error:
        facts = {"model_version": arm.version, "request_id": prediction.request_id, "reason": repr(error)}
        log.exception("reasons failed", extra=facts)
        return no_reasons(arm.version, _FAILED)


def _explained(prediction: Prediction, arm: Arm, why: Reasons) -> ExplainedAnswer:
    told = [
        ReasonOut(
            feature=reason.feature,
            value=reason.value,
            effect=reason.effect,
            direction=reason.direction,
            sentence=reason.sentence,
        )
        for reason in why.top()
    ]
    return ExplainedAnswer(
        **msgspec.structs.asdict(answer(prediction, arm)),
        reasons=told,
        why_no_reasons=why.why_none or (None if told else _NOTHING),
    )
