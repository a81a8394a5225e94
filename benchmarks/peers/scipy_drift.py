"""The loop that one would write: ``scipy_drift.py THEN NOW``; see ``leadgate_drift.py``."""

import json
import sys
import time

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def numbers(a: Floats, b: Floats) -> dict[str, float]:
    """KS, and JS over ten bins."""
    tested = ks_2samp(a, b, method="asymp")
    tenths = np.unique(np.quantile(a, np.arange(11) / 10))
    tenths[0], tenths[-1] = -np.inf, np.inf
    js = jensenshannon(np.histogram(a, tenths)[0], np.histogram(b, tenths)[0])
    return {"ks": float(tested.statistic), "p": float(tested.pvalue), "js": float(js)}


def categories(a: "pd.Series[str]", b: "pd.Series[str]") -> dict[str, float]:
    """JS."""
    x, y = a.value_counts(normalize=True).align(b.value_counts(normalize=True), fill_value=0)
    return {"js": float(jensenshannon(x, y))}


def main() -> None:
    """Every feature, one after the other."""
    then, now = (pd.read_pickle(file) for file in sys.argv[1:3])  # the benchmark's own
    started = time.perf_counter()
    found = {
        str(name): numbers(then[name].to_numpy(), now[name].to_numpy())
        if str(name).startswith("n")
        else categories(then[name], now[name])
        for name in then
    }
    print(json.dumps({"took": time.perf_counter() - started, "found": found}))


if __name__ == "__main__":
    main()
