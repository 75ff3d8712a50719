"""What is said of keys that have no counterpart, or that change nothing."""

from __future__ import annotations

from lazycfg.convert.yacs.keys import Keys

__all__ = ["remarks_of"]

_WITHOUT_COUNTERPART = {
    "TEST.EXPECTED_RESULTS": "results are not compared with expected ones.",
    "FLOAT32_PRECISION": 'call torch.set_float32_matmul_precision("{value}") in the program that trains.',
    "GLOBAL.HACK": "nothing reads it.",
    "VERSION": "",
}
_WEIGHTS = (
    "MODEL.WEIGHTS: weights that do not fit the model are an error here, where detectron2 leaves them out; "
    'name them in train.init_ignore, as ["roi_heads.box_predictor.*"].'
)
_TTA = (
    "TEST.AUG.ENABLED: after training, evaluate the model behind test-time augmentation: "
    "`model = with_tta(model, dataloader)` of lazycfg.model_zoo.common.tta"
)


def remarks_of(keys: Keys) -> list[str]:
    """Return a sentence for each key that nothing was made of; to be called when everything else is made."""
    said = []
    if keys.ignored:
        left_out = ", ".join(f"{key} = {value!r}" for key, value in keys.ignored.items())
        said.append(f"Left out by --ignore, put what these keys do into this config: {left_out}.")
    if not keys("MODEL.WEIGHTS").startswith(("detectron2://", "catalog://")) and keys("MODEL.WEIGHTS"):
        said.append(_WEIGHTS)
    if keys("TEST.AUG.ENABLED"):
        said.append(_tta(keys))
    for key, text in _WITHOUT_COUNTERPART.items():
        if keys.given(key) and text:
            said.append(f"{key}: {text.format(value=keys(key))}")
        keys(key)
    unused = keys.unused()
    if unused:
        said.append(f"Nothing that this config builds reads these keys: {', '.join(unused)}.")
    return said


def _tta(keys: Keys) -> str:
    names = {"MIN_SIZES": "min_sizes", "MAX_SIZE": "max_size", "FLIP": "flip"}
    values = {ours: keys(f"TEST.AUG.{theirs}") for theirs, ours in names.items()}
    changed = [
        f"{ours}={values[ours]!r}" for theirs, ours in names.items() if keys.given(f"TEST.AUG.{theirs}")
    ]
    more = f", then model.tta_mapper.update({', '.join(changed)})" if changed else ""
    return f"{_TTA}{more}."
