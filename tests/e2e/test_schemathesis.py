"""The service does what its OpenAPI page says, whatever is sent: made-up requests from the page itself."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from commands import Cli

EXAMPLES = 60
ACTS = 4
"""Examples of what is done by a command in a process of its own, which takes half a second."""
COMMANDS = ("/rollouts", "/diagnosis", "/alerts")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def client(project_by_commands: Cli) -> Iterator[httpx.Client]:
    """A real service, with a challenger in the shadow."""
    cli = project_by_commands
    cli.ok("route", "set", "shadow", "--challenger", "challenger")
    with cli.server() as client:
        yield client


def test_every_answer_is_as_described(client: httpx.Client) -> None:
    """No 5xx, no status, media type or body that the page does not promise; for every route."""
    page = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    tried = []
    for found in page.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        tried.append(f"{operation.method.upper()} {operation.path}")

        @settings(
            max_examples=ACTS if operation.path.startswith(COMMANDS) else EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
        def check(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(checks=CHECKS, timeout=60)  # a command waits for a processor where others run too

        check()
    assert {
        "POST /predict",
        "POST /predict/batch",
        "POST /outcomes",
        "POST /events",
        "GET /leads/{lead_id}/features",
        "GET /metrics",
        "POST /rollouts",
        "GET /alerts",
    } < set(tried)
