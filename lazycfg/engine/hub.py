"""Models on the Hugging Face Hub: config, weights and a model card in one repository."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lazycfg.checkpoint import CheckpointError, local_weights, read_weights
from lazycfg.checkpoint.checkpointer import save_state
from lazycfg.config import UntrustedError
from lazycfg.config.lazy import LazyConfig
from lazycfg.data import Metadata

from .run_dir import final_weights
from .run_metadata import metadata_of_weights

__all__ = ["pull_from_hub", "push_to_hub", "save_for_hub"]

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS, RESULTS, CARD = "config.yaml", "model.safetensors", "results.json", "README.md"

_REPOSITORY = re.compile(r"(?:hf://)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_TASKS = {"segm": "image-segmentation", "keypoints": "keypoint-detection", "bbox": "object-detection"}
_CLASSES_IN_CARD = 100

Run = str | os.PathLike[str] | tuple[Any, str | os.PathLike[str]]
"""The folder of a run; or a config (loaded, or a data file) and a file of weights."""


def push_to_hub(
    run: Run,
    repo: str,
    *,
    license: str | None = None,
    text: str = "",
    private: bool = False,
    token: str | None = None,
    message: str = "Upload a model of lazycfg",
) -> str:
    """Upload a model: its config, its weights, its results and a model card.

    The server is that of ``HF_ENDPOINT``, if set.

    Args:
        run: the folder of a run, whose final weights are taken; or (config, file of weights).
        repo: ``ORG/NAME``; made if it is not there.
        license: an identifier of the hub, such as "apache-2.0", for the card.
        text: what the card is to say of the model, in Markdown.
        private: make a new repository private.
        token: of the hub; by default that of ``huggingface-cli login`` or ``HF_TOKEN``.
        message: of the commit.

    Returns:
        the URL of the commit.

    Raises:
        ImportError: huggingface_hub is not installed.
        ValueError: `repo` is no name of a repository.
        FileNotFoundError, CheckpointError: the config or the weights are not there, or cannot be read.
    """
    name = hub_name(repo)
    hub = _hub()
    with tempfile.TemporaryDirectory() as folder:
        save_for_hub(run, folder, repo=name, license=license, text=text)
        api = hub.HfApi(endpoint=_endpoint(), token=token)
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
    logger.info("pushed to %s", commit.commit_url)
    return str(commit.commit_url)


def pull_from_hub(repo: str, *, token: str | None = None) -> Path:
    """Return a folder with the files of one commit of a repository, downloading what is not there.

    Nothing of them is run. With ``LAZYCFG_OFFLINE`` set, what was downloaded before is taken.

    Args:
        repo: ``ORG/NAME`` or ``ORG/NAME@REVISION``, ``hf://`` before it or not.
        token: of the hub, for a private repository.

    Raises:
        ImportError: huggingface_hub is not installed.
        ValueError: `repo` is no name of a repository.
        CheckpointError: it cannot be had, or holds no model of lazycfg.
    """
    name, revision = _repository(repo)
    hub = _hub()
    offline = os.environ.get("LAZYCFG_OFFLINE", "") not in ("", "0")
    try:
        folder = hub.snapshot_download(
            name,
            revision=revision,
            allow_patterns=[CONFIG, WEIGHTS, RESULTS, CARD],
            endpoint=_endpoint(),
            token=token,
            local_files_only=offline,
        )
    except Exception as error:  # of the hub, of HTTP, of the file system
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"cannot get {repo} from the hub: {reason[0] if reason else type(error).__name__}"
        ) from error
    for needed in (CONFIG, WEIGHTS):
        if not Path(folder, needed).is_file():
            raise CheckpointError(f"{repo} holds no {needed}: it was not made by push_to_hub")
    return Path(folder)


def save_for_hub(
    run: Run,
    folder: str | os.PathLike[str],
    *,
    repo: str = "ORG/NAME",
    license: str | None = None,
    text: str = "",
) -> None:
    """Write what `push_to_hub` uploads into a folder, which `Predictor.from_hub` reads, too.

    Args:
        run, license, text: as for `push_to_hub`.
        folder: made if it is not there.
        repo: what the card calls the model.

    Raises:
        FileNotFoundError, CheckpointError: the config or the weights are not there, or cannot be read.
        FileExistsError: the folder has files of these names that were not written here.
    """
    folder = Path(folder)
    config, weights, results = _parts(run)
    there = [name for name in (CONFIG, WEIGHTS, CARD, RESULTS) if (folder / name).exists()]
    if there and not {CONFIG, WEIGHTS, CARD} <= set(there):  # all of them are those of before
        raise FileExistsError(
            f"{folder} has another {there[0]}, which would be replaced: choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(config, Path):
        shutil.copyfile(config, folder / CONFIG)
    else:
        LazyConfig.save(config, str(folder / CONFIG))
    found = read_weights(weights)
    if found.format == "safetensors":
        shutil.copyfile(weights, folder / WEIGHTS)
    else:
        save_state(found.state, folder / WEIGHTS, metadata=found.metadata)
    if results is not None:
        shutil.copyfile(results, folder / RESULTS)
    else:
        (folder / RESULTS).unlink(missing_ok=True)
    refused = _refused(folder / CONFIG)
    if refused:
        logger.warning(
            "whoever pulls %s has to allow what the default policy does not:\n  %s",
            repo,
            "\n  ".join(refused),
        )
    card = _card(repo, metadata_of_weights(folder / WEIGHTS), _results(results), license, text, refused)
    (folder / CARD).write_text(card, encoding="utf-8")


def _parts(run: Run) -> tuple[Any, Path, Path | None]:
    """Return the config (a file, or loaded), the file of weights, and that of the results."""
    if isinstance(run, tuple):
        config, weights = run
        if isinstance(config, str | os.PathLike):
            config = Path(config)
            if config.suffix not in (".yaml", ".yml"):
                config = LazyConfig.load(config)
            elif not config.is_file():
                raise FileNotFoundError(f"there is no config {config}")
        return config, local_weights(weights), None
    folder = Path(run)
    config = folder / CONFIG
    if not config.is_file():
        raise FileNotFoundError(f"{folder} is not the folder of a run: it has no {CONFIG}")
    results = folder / RESULTS
    return config, final_weights(folder), results if results.is_file() else None


def _refused(config: Path) -> Sequence[str]:
    """Return what of a config the default policy does not allow."""
    try:
        LazyConfig.load(config)
    except UntrustedError as error:
        return error.refused
    return []


def _results(file: Path | None) -> Mapping[str, Mapping[str, float]]:
    """Return the numbers of an evaluation, by task and metric."""
    found = {} if file is None else json.loads(file.read_text(encoding="utf-8"))
    numbers = {
        task: {
            name: value
            for name, value in metrics.items()
            if isinstance(value, int | float) and math.isfinite(value) and not name.startswith("AP-")
        }
        for task, metrics in found.items()
        if isinstance(metrics, Mapping)
    }
    return {task: metrics for task, metrics in numbers.items() if metrics}


def _card(
    repo: str,
    metadata: Metadata | None,
    results: Mapping[str, Mapping[str, float]],
    license: str | None,
    text: str,
    refused: Iterable[str],
) -> str:
    head: dict[str, Any] = {"library_name": "lazycfg"}
    if license is not None:
        head["license"] = license
    task = next((tag for task, tag in _TASKS.items() if task in results), None)
    if task is not None:
        head["pipeline_tag"] = task
    head["tags"] = ["lazycfg"]
    parts = [
        "---",
        yaml.safe_dump(head, sort_keys=False).rstrip(),
        "---",
        "",
        f"# {repo.rpartition('/')[2]}",
        "",
    ]
    parts += [text.rstrip(), ""] if text else []
    parts += [
        "## How to use it",
        "",
        "```python",
        "from lazycfg.engine import Predictor",
        "",
        f"predictor = Predictor.from_hub({repo!r})",
        'instances = predictor("image.jpg")',
        "```",
        "",
        f"`train.init_checkpoint=hf://{repo}/{WEIGHTS}` begins a training with these weights.",
        "",
    ]
    if names := list(refused):
        parts += [
            "Its config names what the default policy of lazycfg does not allow. Look at it, and pass what "
            "you trust to `allow`:",
            "",
            *(f"- {_plain(name)}" for name in names),
            "",
        ]
    if results:
        parts += ["## Results", "", "| task | metric | value |", "|---|---|---|"]
        for task, metrics in results.items():
            parts += [f"| {_plain(task)} | {_plain(name)} | {value:.4g} |" for name, value in metrics.items()]
        parts.append("")
    classes = () if metadata is None else (*(metadata.thing_classes or ()), *(metadata.stuff_classes or ()))
    if classes:
        more = f" and {len(classes) - _CLASSES_IN_CARD} more" if len(classes) > _CLASSES_IN_CARD else ""
        listed = ", ".join(_plain(name) for name in classes[:_CLASSES_IN_CARD])
        parts += [f"## Classes ({len(classes)})", "", f"{listed}{more}", ""]
    if license is None:
        parts += ["## Licence", "", "None was given.", ""]
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Return text without what Markdown would take for something else."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(str(text).split()))


def _repository(repo: str) -> tuple[str, str | None]:
    match = _REPOSITORY.fullmatch(repo)
    if match is None or ".." in repo:
        raise ValueError(f"{repo!r} is no repository of the hub: expected ORG/NAME or ORG/NAME@REVISION")
    return match[1], match[2]


def hub_name(repo: str) -> str:
    """Return ``ORG/NAME`` of a repository that is pushed to.

    Raises:
        ValueError: it is no name of a repository, or names a revision.
    """
    name, revision = _repository(repo)
    if revision:
        raise ValueError(f"{repo}: a model is pushed to the main revision; give ORG/NAME")
    return name


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("this needs huggingface_hub: pip install 'lazycfg[hub]'") from error
    return huggingface_hub
