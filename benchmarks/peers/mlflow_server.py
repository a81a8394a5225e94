"""What ``mlflow models serve`` runs in its worker: MLflow's own scoring server with the same model."""

import os
from pathlib import Path

import mlflow.pyfunc
from mlflow.pyfunc import scoring_server

from leadgate.app.wire import open_home

_home = open_home(Path(os.environ["BENCH_PROJECT"]))
_version = _home.registry.find("1")
app = scoring_server.init(mlflow.pyfunc.load_model(_version.source))
