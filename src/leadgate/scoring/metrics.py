"""What Prometheus reads.

The instruments are plain lists and dictionaries, since they are touched at every request. Each worker leaves a snapshot
of its own in a shared folder every second, and whichever worker is asked tells those of all, labelled by worker.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Bucket edges of latencies; the plan's limits of 100 and 200 ms are among them."""
SHARES = tuple(i / 20 for i in range(1, 21))
"""Bucket edges of scores, and of differences of scores."""
DIFFERENCES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_PRIORITIES = ("high", "medium", "low")
_ANSWERED = ("/predict", "200")
"""Labels of the requests that `leadgate_prediction_seconds` has, too."""
_REQUESTS = [(route, status) for route in ("/predict", "/predict/batch") for status in ("200", "500", "503")]
"""Labels of the requests that alerts count."""
_STALE_S = 10.0
"""A snapshot that is older is that of a worker that is gone."""

Labels = tuple[str, ...]


class _Counts(msgspec.Struct):
    """A histogram with one set of labels."""

    counts: list[int]
    total: float = 0.0


class Histogram:
    """Counts of values by bucket, for each set of labels."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.series: dict[Labels, _Counts] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        series = self.series.get(labels) or self.begin(labels)
        series.counts[bisect_left(self.edges, value)] += 1
        series.total += value

    def begin(self, labels: Labels) -> _Counts:
        """Tell of these labels from now on: a rate does not see a first value."""
        return self.series.setdefault(labels, _Counts([0] * (len(self.edges) + 1)))

    def together(self) -> _Counts:
        """Over all labels."""
        every = list(self.series.values())
        return _Counts(
            [sum(s.counts[i] for s in every) for i in range(len(self.edges) + 1)], sum(s.total for s in every)
        )


class Counter:
    """A number that only grows, for each set of labels."""

    def __init__(self, labels: Labels = ()) -> None:
        """``labels``: their names. Without any it is told from the start: a rate does not see a first value."""
        self.series: dict[Labels, float] = {} if labels else {(): 0}

    def begin(self, labels: Labels) -> None:
        """Tell of these labels from now on."""
        self.series.setdefault(labels, 0)

    def add(self, labels: Labels, value: float = 1) -> None:
        """Count."""
        self.series[labels] = self.series.get(labels, 0) + value


class _Snapshot(msgspec.Struct):
    """A worker's instruments at one time."""

    worker: str
    at: float
    histograms: dict[str, list[tuple[Labels, list[int], float]]]
    counters: dict[str, list[tuple[Labels, float]]]
    gauges: dict[str, float]


_HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], Sequence[float]]] = {
    "leadgate_prediction_seconds": (
        "Time from the request's head to its answer, of /predict",
        ("model_version", "variant"),
        SECONDS,
    ),
    "leadgate_predicted_score": ("Predicted probability of conversion", ("model_version", "variant"), SHARES),
    "leadgate_shadow_difference": (
        "Absolute difference between the shadow's score and the answered one",
        ("model_version", "shadow_version"),
        DIFFERENCES,
    ),
    "leadgate_lookup_seconds": ("Time to ask what is known of the leads of a request", (), SECONDS),
    "leadgate_request_seconds": ("Time to answer a request", ("route", "status"), SECONDS),
}
_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "leadgate_predictions": ("Answered scores", ("model_version", "variant", "priority")),
    "leadgate_prediction_failures": ("Leads that a version failed to score", ("model_version", "variant")),
    "leadgate_shadow_failures": ("Shadow scores that failed or were too slow", ("shadow_version",)),
    "leadgate_shadow_skips": ("Shadow scores that were left out, so that no answer waited", ("shadow_version",)),
    "leadgate_feature_failures": ("Features of features.py that failed for a lead and are missing", ("feature",)),
    "leadgate_outcomes": ("Recorded outcomes", ()),
    "leadgate_refusals": ("Requests that were refused", ("status",)),
    "leadgate_route_changes": ("Routes taken up", ()),
    "leadgate_route_failures": ("Routes that could not be taken up", ()),
}
_GAUGES: dict[str, str] = {
    "leadgate_route_epoch": "Epoch of the route in force in the worker",
    "leadgate_spool_segments": "Segments that are not in the log yet",
    "leadgate_spool_bytes": "Their size",
    "leadgate_spool_lag_seconds": "Age of the oldest of them",
    "leadgate_spool_kept": "Segments that were damaged or refused; their files are kept",
    "leadgate_spool_full": "1 while predictions are refused because the spool cannot take them",
    "leadgate_library_queue": "Requests that wait for a version served by the library",
    "leadgate_connections": "Open connections",
    "leadgate_worker_start_time_seconds": "When the worker began, in seconds since 1970",
    "leadgate_last_check_timestamp_seconds": "When checks last ran, in seconds since 1970; 0 before the first run",
    "leadgate_alerts_yellow": "Alerts that are open and yellow, acknowledged ones too",
    "leadgate_alerts_red": "Alerts that are open and red, acknowledged ones too",
}


class Metrics:
    """The instruments of one worker."""

    def __init__(self, worker: str = "0", folder: Path | None = None) -> None:
        """``folder`` is where workers leave their snapshots; None keeps a worker to itself."""
        self.worker = worker
        self._folder = folder
        self._histograms = {name: Histogram(edges) for name, (_, _, edges) in _HISTOGRAMS.items()}
        self._counters = {name: Counter(labels) for name, (_, labels) in _COUNTERS.items()}
        self.gauges = {**dict.fromkeys(_GAUGES, 0.0), "leadgate_worker_start_time_seconds": time.time()}
        self.prediction_seconds = self._histograms["leadgate_prediction_seconds"]
        self.scores = self._histograms["leadgate_predicted_score"]
        self.shadow_difference = self._histograms["leadgate_shadow_difference"]
        self.request_seconds = self._histograms["leadgate_request_seconds"]
        self.lookup_seconds = self._histograms["leadgate_lookup_seconds"]
        self.feature_failures = self._counters["leadgate_feature_failures"]
        self.predictions = self._counters["leadgate_predictions"]
        self.prediction_failures = self._counters["leadgate_prediction_failures"]
        self.shadow_failures = self._counters["leadgate_shadow_failures"]
        self.shadow_skips = self._counters["leadgate_shadow_skips"]
        self.outcomes = self._counters["leadgate_outcomes"]
        self.refusals = self._counters["leadgate_refusals"]
        self.route_changes = self._counters["leadgate_route_changes"]
        self.route_failures = self._counters["leadgate_route_failures"]
        for labels in _REQUESTS:
            self.request_seconds.begin(labels)

    def begin(self, versions: Sequence[tuple[str, str]], made: Sequence[str] = ()) -> None:
        """Tell what the versions of a route, by version and variant, and made features may do, before they do it.

        Between two looks of Prometheus a first value may be a thousand leads, and no rate would ever see them.
        """
        for feature in made:
            self.feature_failures.begin((feature,))
        for version, variant in versions:
            self.scores.begin((version, variant))
            self.prediction_failures.begin((version, variant))
            for priority in _PRIORITIES:
                self.predictions.begin((version, variant, priority))
            for shadow in {other for other, _ in versions} - {version}:
                self.shadow_failures.begin((shadow,))
                self.shadow_difference.begin((version, shadow))

    def leave_snapshot(self) -> None:
        """Write the instruments down for the other workers."""
        if self._folder is not None:
            path = self._folder / f"metrics-{self.worker}.json"
            temporary = path.with_suffix(".new")
            with suppress(OSError):  # a full disk must not stop a worker
                temporary.write_bytes(msgspec.json.encode(self._snapshot()))
                temporary.replace(path)

    def exposition(self) -> bytes:
        """The instruments of all workers in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(_AllWorkers([self._snapshot(), *self._others()]))
        return generate_latest(registry)

    def _snapshot(self) -> _Snapshot:
        told = {name: h.series for name, h in self._histograms.items()}
        told["leadgate_request_seconds"] = self._requests()
        histograms = {
            name: [(labels, s.counts, s.total) for labels, s in series.items()] for name, series in told.items()
        }
        return _Snapshot(
            worker=self.worker,
            at=time.time(),
            histograms=histograms,
            counters={name: list(c.series.items()) for name, c in self._counters.items()},
            gauges=self.gauges,
        )

    def _requests(self) -> dict[Labels, _Counts]:
        """All requests: most answers of /predict are counted by their prediction alone."""
        alone, answered = self.request_seconds.series[_ANSWERED], self.prediction_seconds.together()
        counts = [a + b for a, b in zip(alone.counts, answered.counts, strict=True)]
        return {**self.request_seconds.series, _ANSWERED: _Counts(counts, alone.total + answered.total)}

    def _others(self) -> Iterator[_Snapshot]:
        if self._folder is None:
            return
        for path in sorted(self._folder.glob("metrics-*.json")):
            with suppress(OSError, msgspec.DecodeError):
                snapshot = msgspec.json.decode(path.read_bytes(), type=_Snapshot)
                if snapshot.worker != self.worker and abs(time.time() - snapshot.at) < _STALE_S:
                    yield snapshot


class _AllWorkers(Collector):
    def __init__(self, snapshots: Sequence[_Snapshot]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """Yield each instrument with the series of every worker."""
        for name, (text, labels, edges) in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(name, text, labels=("worker", *labels))
            names = [*(f"{edge:g}" for edge in edges), "+Inf"]
            for snapshot in self._snapshots:
                for values, counts, total in snapshot.histograms.get(name, []):
                    buckets = list(zip(names, accumulate(counts), strict=True))
                    histogram.add_metric((snapshot.worker, *values), buckets=buckets, sum_value=total)
            yield histogram
        for name, (text, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=("worker", *labels))
            for snapshot in self._snapshots:
                for values, value in snapshot.counters.get(name, []):
                    counter.add_metric((snapshot.worker, *values), value)
            yield counter
        for name, text in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=("worker",))
            for snapshot in self._snapshots:
                gauge.add_metric((snapshot.worker,), snapshot.gauges.get(name, 0.0))
            yield gauge
