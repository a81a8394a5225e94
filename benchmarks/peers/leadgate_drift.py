"""Drift of two data frames by Leadgate: ``leadgate_drift.py THEN NOW [THREADS]``, pickled frames; prints JSON.

Its numbers start with n, its categories with c. The clock starts with the frames in memory and what is needed imported.
"""

import json
import sys
import time
from math import sqrt

import pandas as pd
import scipy.stats  # noqa: F401  # imported before the clock starts, as the others do

from leadgate.leads.monitoring_rules import DriftRules
from leadgate.monitoring.rows import Column, drift_of_rows
from leadgate.stats.distances import ks_p_value


def columns(frame: pd.DataFrame) -> dict[str, Column]:
    """Numbers as they are, categories counted."""
    return {str(name): frame[name].to_numpy() if str(name).startswith("n") else counts(frame[name]) for name in frame}


def counts(column: "pd.Series[str]") -> dict[str, int]:
    """How often there is each category."""
    found = column.value_counts()
    return dict(zip(found.index.tolist(), found.tolist(), strict=True))


def main() -> None:
    """Everything that a verdict has: KS, JS, PSI, spread and their p-values, of every feature."""
    then, now = (pd.read_pickle(file) for file in sys.argv[1:3])  # the benchmark's own
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    started = time.perf_counter()
    found = drift_of_rows(columns(then), columns(now), DriftRules(), threads=threads)
    took = time.perf_counter() - started
    told = {
        name: {"js": sqrt(d.js)}
        if d.ks is None
        else {"ks": d.ks, "p": ks_p_value(d.ks, len(then), len(now)), "js": sqrt(d.js)}
        for name, d in found.items()
    }
    print(json.dumps({"took": took, "found": told}))


if __name__ == "__main__":
    main()
