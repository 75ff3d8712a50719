"""Runs in trackio."""

import io
import json
import logging
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from .base import TrackerWriter

__all__ = ["TrackioWriter"]

logger = logging.getLogger(__name__)

_OF_TRACKIO = ("_Username", "_Created", "_Group")
_READ_AS_NUMBERS = ("NaN", "Infinity", "-Infinity")
# Names of scalars that trackio has for itself
_RESERVED = ("project", "run", "timestamp", "step", "time", "metrics")


class TrackioWriter(TrackerWriter):
    """Scalars, images and the config for trackio.

    They go to trackio's store on this machine, without a server, unless an argument or the environment
    (TRACKIO_SPACE_ID, TRACKIO_SERVER_URL) names one.

    Args:
        project: where the run is listed.
        name: of the run; None is the name of the output folder and some random characters, since trackio
            finds a run to go on with by its name.
        window_size: of the median that stands for a loss.
        **options: more arguments of ``trackio.init``, such as group, space_id, server_url.

    Raises:
        ImportError: trackio is not installed; the message has the line that installs it.
    """

    name = "trackio"

    def __init__(
        self, *, project: str = "lazycfg", name: str | None = None, window_size: int = 20, **options: Any
    ) -> None:
        super().__init__(window_size=window_size)
        try:
            import trackio  # noqa: F401
        except ImportError as error:
            raise ImportError("TrackioWriter needs trackio: pip install 'lazycfg[trackio]'") from error
        self._options = {"project": project, "embed": False, **options}
        self._run_name = name
        self._run: Any = None

    @staticmethod
    def config_of(config: Mapping[str, Any], **options: Any) -> Any:
        """Return the config that a run was given.

        Args:
            config: of a trackio run, ``trackio.Api().runs(project)[0].config``.
            **options: see `lazycfg.config.formats.flat.from_flat`.
        """
        from lazycfg.config.formats.flat import from_flat

        flat = {name: value for name, value in config.items() if name not in _OF_TRACKIO}
        return from_flat({name.removeprefix(":"): _value(value) for name, value in flat.items()}, **options)

    def open_run(self, output_dir: Path, config: Mapping[str, Any], run_id: str | None) -> str:
        """Open a run with the config, and return its id and name."""
        options = {"config": {_name(name): _stored(value) for name, value in config.items()}, **self._options}
        number, _, name = (run_id or "").partition(" ")
        if run_id is not None:
            try:
                self._run = _init(**options, name=name, resume="must")
            except ValueError as error:
                logger.warning("trackio: %s: another one of that name goes on in its place", error)
                run_id = None
        if run_id is None:
            name = name or self._run_name or f"{output_dir.resolve().name}-{secrets.token_hex(3)}"
            self._run = _init(**options, name=name)
            number = self._run.id
        try:
            self._check_run(number)
        except Exception:
            self.close_run()
            raise
        project = self._run.project
        logger.info("trackio: run %s; to look at it: trackio show --project %s", name, project)
        return f"{number} {name}"

    def _check_run(self, number: str) -> None:
        if self._run.id != number:
            raise ValueError(
                f"its project {self._run.project!r} has a later run of the name {self._run.name!r}, "
                "with which trackio would go on: rename that one in trackio"
            )
        if self._run.url is None:
            _check_store()

    def log_scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Record numbers of one iteration."""
        named = {f"train/{name}" if name in _RESERVED else name: value for name, value in values.items()}
        self._run.log(named, step=iteration)

    def log_image(self, name: str, image: np.ndarray, iteration: int) -> None:
        """Record an image."""
        import trackio

        self._run.log({name: trackio.Image(image)}, step=iteration)

    def close_run(self) -> None:
        """Let trackio write what it has buffered."""
        import trackio

        with redirect_stdout(io.StringIO()):
            if trackio.context_vars.current_run.get() is self._run:
                trackio.finish()  # else it would be finished, and told so, once more at the exit
            else:
                self._run.finish()


def _name(name: str) -> str:
    """Names that begin with _ are trackio's own."""
    return f":{name}" if name.startswith(("_", ":")) else name


def _stored(value: Any) -> Any:
    """Write what trackio's store does not keep, or gives back as something else, as JSON after a colon."""
    if isinstance(value, str):
        is_kept = not value.startswith(":") and value not in _READ_AS_NUMBERS and _is_unicode(value)
    else:
        is_kept = not isinstance(value, int) or abs(value) < 2**63
    return value if is_kept else f":{json.dumps(value)}"


def _value(stored: Any) -> Any:
    return json.loads(stored[1:]) if isinstance(stored, str) and stored.startswith(":") else stored


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    return True


def _init(**options: Any) -> Any:
    import trackio

    with redirect_stdout(io.StringIO()):  # where `lazycfg train` prints results
        return trackio.init(**options)


def _check_store() -> None:
    """Raise if trackio's store cannot be written: it would warn, and lose what it is given."""
    from trackio.utils import TRACKIO_DIR

    try:
        TRACKIO_DIR.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=TRACKIO_DIR):
            pass
    except OSError as error:
        raise OSError(
            f"its store cannot be written: {error}; the variable TRACKIO_DIR names another one"
        ) from error
