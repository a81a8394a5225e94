"""OpenTelemetry traces of requests, where the extra ``leadgate[otel]`` is installed and LEADGATE_TRACES asks for them.

Where the spans go is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leadgate.errors import RefusedError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_SILENT = "/health/live,/health/ready,/metrics"
"""Asked every few seconds by machines; their spans would drown the others."""


def traced(app: ASGIApp, processor: "SpanProcessor | None" = None) -> ASGIApp:
    """The application with a span for each request, named by method and path, with its request id.

    ``processor`` takes the spans; by default they are sent in batches by OTLP over HTTP. Raises RefusedError where the
    extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import get_current_span  # noqa: PLC0415
        from opentelemetry.util.http import parse_excluded_urls  # noqa: PLC0415
    except ImportError as error:
        raise RefusedError(
            f"LEADGATE_TRACES asks for traces, and {error.name} is not installed; `pip install leadgate[otel]`."
        ) from error

    provider = TracerProvider(resource=Resource.create({"service.name": "leadgate"}))
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    made: ASGIApp = OpenTelemetryMiddleware(
        _with_request_id(app, get_current_span),
        tracer_provider=provider,
        excluded_urls=parse_excluded_urls(_SILENT),
        exclude_spans=["receive", "send"],
    )
    return made


def _with_request_id(app: ASGIApp, current_span: Callable[[], Any]) -> ASGIApp:
    """The application, noting on the request's span the id that the answer carries."""

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        span = current_span()

        async def note(message: Message) -> None:
            for name, value in message.get("headers", ()):
                if name == b"x-request-id":
                    span.set_attribute("leadgate.request_id", value.decode("latin-1"))
            await send(message)

        await app(scope, receive, note)

    return noting
