"""Traces of requests, for teams that collect them."""

import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.models.scorers import load
from leadgate.scoring.traces import traced
from serviced import full_route, serve


def test_a_request_leaves_a_span_with_its_id(workshop: Home, database: str, tmp_path: Path) -> None:
    """Continued from the caller's own trace, by the W3C header; health checks leave none."""
    scored = load(workshop.registry, workshop.registry.find("1"))
    spans = InMemorySpanExporter()
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"
    with serve(tmp_path / "spool", database, full_route(scored), scored) as served:
        client = TestClient(traced(served.client.app, SimpleSpanProcessor(spans)))
        headers = {"X-Request-ID": "crm-7", "traceparent": f"00-{caller}-00f067aa0ba902b7-01"}
        assert client.get("/health/live").status_code == 200
        assert client.get("/openapi.json", headers=headers).status_code == 200
    (span,) = spans.get_finished_spans()
    attributes: Any = span.attributes
    assert span.name.startswith("GET")
    assert attributes["leadgate.request_id"] == "crm-7"
    assert f"{span.context.trace_id:032x}" == caller


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback from inside."""
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.asgi", None)
    with pytest.raises(RefusedError, match=r"leadgate\[otel\]"):
        traced(lambda *_: None)  # type: ignore[arg-type]
