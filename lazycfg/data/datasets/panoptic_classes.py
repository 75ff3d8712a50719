"""Things and stuff of a panoptic file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.utils import printable

from .coco_validation import AnnotationError, is_whole
from .label_maps import IGNORE
from .metadata import Metadata

_NEUTRAL = (127, 127, 127)


def panoptic_metadata(categories: Sequence[Mapping[str, Any]], *, separated: bool, **fields: Any) -> Metadata:
    """Things are numbered from 0. The labels of maps tell all classes apart; with `separated` label 0 stands
    for all things, and stuff is 1, 2...

    Args:
        categories: of the file: "id", "name", "isthing", perhaps "color" (RGB).
        fields: others of `Metadata`.

    Raises:
        AnnotationError: the categories do not say what is a thing.
    """
    if not categories or any(not isinstance(c, Mapping) or "isthing" not in c for c in categories):
        raise AnnotationError("every category needs 'isthing' (0 or 1); is it a file of instances?")
    for index, category in enumerate(categories):
        if not is_whole(category.get("id")) or not isinstance(category.get("name"), str):
            raise AnnotationError(f"categories[{index}] needs a whole number 'id' and a 'name'")
    doubled = [i for i, n in Counter(int(c["id"]) for c in categories).items() if n > 1]
    if doubled:
        raise AnnotationError(f"category ids {doubled} occur more than once")
    categories = sorted(categories, key=lambda c: int(c["id"]))
    things = [c for c in categories if c["isthing"]]
    labelled = [c for c in categories if not (separated and c["isthing"])]
    first = int(separated)
    colored = all("color" in c for c in categories)
    return Metadata(
        thing_classes=tuple(printable(c["name"]) for c in things),
        thing_colors=tuple(tuple(c["color"]) for c in things) if colored else (),
        thing_dataset_id_to_contiguous_id={int(c["id"]): i for i, c in enumerate(things)},
        stuff_classes=("things",) * first + tuple(printable(c["name"]) for c in labelled),
        stuff_colors=(_NEUTRAL,) * first + tuple(tuple(c["color"]) for c in labelled) if colored else (),
        stuff_dataset_id_to_contiguous_id={int(c["id"]): i for i, c in enumerate(labelled, start=first)},
        ignore_label=IGNORE,
        **fields,
    )


def segments_with_labels(
    segments: Sequence[Mapping[str, Any]], metadata: Metadata
) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """Replace the category ids of an image's segments by thing numbers and stuff labels.

    Returns:
        dicts with "id", "category_id", "label" (in maps), "isthing", "iscrowd" and, where given, "bbox" and
        "area"; and the label in maps by segment id.
    """
    things, labels = metadata.thing_dataset_id_to_contiguous_id, metadata.stuff_dataset_id_to_contiguous_id
    result, label_of_id = [], {}
    for segment in segments:
        category, number = segment["category_id"], int(segment["id"])
        result.append(
            {
                "id": number,
                "category_id": things[category] if category in things else labels[category],
                "label": labels.get(category, 0),
                "isthing": category in things,
                "iscrowd": int(segment.get("iscrowd", 0)),
            }
            | {key: segment[key] for key in ("bbox", "area") if key in segment}
        )
        label_of_id[number] = labels.get(category, 0)
    return result, label_of_id
