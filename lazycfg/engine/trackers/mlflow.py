"""Runs in MLflow."""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg.utils import atomic_write

from .base import TrackerWriter

__all__ = ["MLflowWriter"]

_FORBIDDEN = re.compile(r"[^\w\-. /]", re.ASCII)
_LONGEST = 5500  # characters of a parameter
_AT_ONCE = 100  # parameters, or metrics
_PART = re.compile(r"^(.*):part(\d+)$", re.DOTALL)


class MLflowWriter(TrackerWriter):
    """Sends scalars, images and the config to MLflow.

    Names may have fewer characters there: of others the number is written, as ``:3c:`` for ``<``.

    Args:
        tracking_uri: of the server or the folder; None is MLFLOW_TRACKING_URI of the environment, else the
            folder ``mlruns`` in the output folder.
        experiment: where the run is listed; it is made if it is not there.
        name: of the run; None is the name of the output folder.
        window_size: of the median that stands for a loss.

    Raises:
        ImportError: MLflow is not installed; the message has the line that installs it.
    """

    name = "mlflow"

    def __init__(
        self,
        *,
        tracking_uri: str | None = None,
        experiment: str = "lazycfg",
        name: str | None = None,
        window_size: int = 20,
    ) -> None:
        super().__init__(window_size=window_size)
        try:
            import mlflow  # noqa: F401
        except ImportError as error:
            raise ImportError("MLflowWriter needs mlflow: pip install 'lazycfg[mlflow]'") from error
        self._uri = tracking_uri
        self._experiment = experiment
        self._run_name = name
        self._client: Any = None
        self._run_id = ""

    @staticmethod
    def config_of(params: Mapping[str, str], **options: Any) -> Any:
        """Return the config that the parameters of a run were made of.

        Args:
            params: of an MLflow run, ``run.data.params``.
            **options: see `lazycfg.config.formats.flat.from_flat`.
        """
        from lazycfg.config.formats.flat import from_flat

        whole: dict[str, str] = {}
        parts: dict[str, dict[int, str]] = {}
        for name, value in params.items():
            part = _PART.match(name)
            if part is None:
                whole[name] = value
            else:
                parts.setdefault(part[1], {})[int(part[2])] = value
        whole |= {name: "".join(own[n] for n in sorted(own)) for name, own in parts.items()}
        return from_flat({_plain_name(name): _value(text) for name, text in whole.items()}, **options)

    def open_run(self, output_dir: Path, config: Mapping[str, Any], run_id: str | None) -> str:
        """Open a run with the config, and return its id."""
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        uri = self._uri or os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            store = output_dir.resolve() / "mlruns"
            uri = store.as_uri()
            _say_where_it_is_now(store)
        with _file_stores_allowed():
            self._client = MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(self._experiment)
        if run_id is not None:
            self._run_id = run_id
            self._client.update_run(run_id, status="RUNNING")
            return run_id
        experiment = found.experiment_id if found else self._client.create_experiment(self._experiment)
        name = self._run_name or output_dir.resolve().name
        self._run_id = self._client.create_run(experiment, run_name=name).info.run_id
        params = [Param(key, text) for name, value in config.items() for key, text in _texts(name, value)]
        for begin in range(0, len(params), _AT_ONCE):
            self._client.log_batch(self._run_id, params=params[begin : begin + _AT_ONCE])
        return self._run_id

    def log_scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Record numbers of one iteration."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_name(name), value, now, iteration) for name, value in values.items()]
        for begin in range(0, len(metrics), _AT_ONCE):
            self._client.log_batch(self._run_id, metrics=metrics[begin : begin + _AT_ONCE])

    def log_image(self, name: str, image: np.ndarray, iteration: int) -> None:
        """Record an image, (H, W, 3) uint8 RGB, as a file of the run."""
        self._client.log_image(self._run_id, image, artifact_file=f"{_name(name)}/{iteration:07d}.jpg")

    def close_run(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run_id)


def _say_where_it_is_now(store: Path) -> None:
    """Mend the store of a run whose folder was moved: it names by their old place the folders that images go
    to, and MLflow would make these again there.
    """
    for file in (*store.glob("*/meta.yaml"), *store.glob("*/*/meta.yaml")):
        inside = file.parent.relative_to(store).as_posix()
        text = file.read_text(encoding="utf-8")
        # An experiment names its folder, a run one within its own
        pattern = rf"^(artifact_location|artifact_uri): file://\S*/mlruns/{inside}(/artifacts)?$"
        now = re.sub(pattern, rf"\1: {file.parent.as_uri()}\2", text, flags=re.MULTILINE)
        if now != text:
            with atomic_write(file) as partial:
                partial.write_text(now, encoding="utf-8")


@contextmanager
def _file_stores_allowed() -> Iterator[None]:
    """MLflow refuses folders, in favour of databases, unless the environment asks for them."""
    name = "MLFLOW_ALLOW_FILE_STORE"
    before = os.environ.get(name)
    os.environ[name] = before or "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _name(name: str) -> str:
    return _FORBIDDEN.sub(lambda found: f":{ord(found[0]):x}:", name)


def _plain_name(name: str) -> str:
    return re.sub(r":([0-9a-f]+):", lambda found: chr(int(found[1], 16)), name)


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield a value as parameters: as it is if it is a text that could be nothing else, else as JSON."""
    text = value if isinstance(value, str) and not _is_json(value) else json.dumps(value)
    if len(text) <= _LONGEST:
        yield _name(name), text
        return
    for number, begin in enumerate(range(0, len(text), _LONGEST)):
        yield f"{_name(name)}:part{number}", text[begin : begin + _LONGEST]


def _value(text: str) -> Any:
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
