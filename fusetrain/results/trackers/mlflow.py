"""MLflow: one run of an experiment that is named like the project folder.

MLFLOW_TRACKING_URI says where; without it all runs of a project share `mlflow.db` beside their
folders. MLflow's own usage statistics are off unless MLFLOW_DISABLE_TELEMETRY says otherwise.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages below, which nobody here can mend
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - warns when first imported
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

from fusetrain.results.trackers.tracker import Ending, TrackedRun

DATABASE = "mlflow.db"
MAX_PARAMS = 100  # of one request
MAX_CHARS = 500
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MLflow:
    """Logs to a tracking server, or to a database beside the run folders."""

    def start(self, run: TrackedRun) -> str:
        """Create a run, or open the known one again if it still is there."""
        project = run.folder.parent.absolute()
        self._client = MlflowClient(
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project / DATABASE}"
        )
        self._run_id = self._opened_again(run.known_as) or self._created(run, project)
        self._notes = len(self._client.get_run(self._run_id).data.tags)
        return self._run_id

    def metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log all numbers of an epoch in one request."""
        now = int(time.time() * 1000)
        numbers = [Metric(name, value, now, epoch) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=numbers)

    def picture(self, epoch: int, name: str, path: Path) -> None:
        """Copy a picture to the artifacts."""
        self._client.log_artifact(self._run_id, str(path))

    def note(self, epoch: int, text: str) -> None:
        """Keep a remark as a tag, which the page of the run lists."""
        self._notes += 1
        key = f"note.{self._notes:03d}"
        self._client.set_tag(self._run_id, key, f"epoch {epoch}: {text}"[:MAX_CHARS])

    def finish(self, ending: Ending) -> None:
        """Say how it ended."""
        self._client.set_terminated(self._run_id, STATUS[ending])

    def _opened_again(self, run_id: str) -> str:
        if not run_id:
            return ""
        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return ""
        return run_id

    def _created(self, run: TrackedRun, project: Path) -> str:
        experiment = self._client.get_experiment_by_name(run.project)
        if experiment is not None:
            experiment_id = experiment.experiment_id
        else:
            is_local = not os.environ.get("MLFLOW_TRACKING_URI")
            artifacts = (project / "mlflow-artifacts").as_uri() if is_local else None
            experiment_id = self._client.create_experiment(run.project, artifacts)
        run_id: str = self._client.create_run(experiment_id, run_name=run.name).info.run_id
        params = [Param(key, str(value)[:MAX_CHARS]) for key, value in run.settings.items()]
        for begin in range(0, len(params), MAX_PARAMS):
            self._client.log_batch(run_id, params=params[begin : begin + MAX_PARAMS])
        return run_id
