"""Evidently's preset with the same tests: ``evidently_drift.py THEN NOW``; see ``leadgate_drift.py``.

Runs in a Python of its own, which has Evidently and does not have Leadgate.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version

import pandas as pd
from evidently import DataDefinition, Dataset, Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]


def main() -> None:
    """The values of its metrics, without its page."""
    warnings.filterwarnings("ignore")
    then, now = (pd.read_pickle(file) for file in sys.argv[1:3])  # the benchmark's own
    numeric = [name for name in then if name.startswith("n")]
    kinds = DataDefinition(numerical_columns=numeric, categorical_columns=[n for n in then if n not in numeric])
    started = time.perf_counter()
    report = Report([DataDriftPreset(num_method="ks", cat_method="jensenshannon")])
    sides = [Dataset.from_pandas(side, data_definition=kinds) for side in (now, then)]
    metrics = report.run(*sides).dict()["metrics"]
    took = time.perf_counter() - started
    found = {
        metric["config"]["column"]: {"p" if metric["config"]["method"] == "ks" else "js": float(metric["value"])}
        for metric in metrics
        if "column" in metric["config"]
    }
    print(json.dumps({"took": took, "found": found, "version": version("evidently")}))


if __name__ == "__main__":
    main()
