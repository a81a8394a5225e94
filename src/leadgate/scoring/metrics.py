"""What Prometheus reads."""

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Buckets that hold the plan's limits of 100 and 200 ms as edges."""


class Metrics:
    """The instruments of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.predictions = Counter(
            "leadgate_predictions",
            "Answered scores",
            ["model_version", "variant", "priority"],
            registry=self.registry,
        )
        self.scores = Histogram(
            "leadgate_predicted_score",
            "Predicted probability of conversion",
            ["model_version", "variant"],
            buckets=[i / 20 for i in range(1, 21)],
            registry=self.registry,
        )
        self.requests = Histogram(
            "leadgate_request_seconds",
            "Time to answer a request",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.outcomes = Counter("leadgate_outcomes", "Recorded outcomes", registry=self.registry)
        self.model = Info("leadgate_model", "The version that answers", registry=self.registry)

    def exposition(self) -> bytes:
        """All instruments in Prometheus' text format."""
        return generate_latest(self.registry)
