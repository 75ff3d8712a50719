"""LVIS: many classes, of which each image is annotated for some (Gupta et al., 2019, arXiv:1908.03195)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import torch
from torch import Tensor

from lazycfg.utils import printable

from .base import Record
from .coco import CocoDataset
from .coco_categories import category_id, read_categories
from .coco_files import read_coco_json
from .coco_validation import AnnotationError, Problem, is_whole

Frequency = Literal["r", "c", "f"]
FREQUENCIES: dict[Frequency, str] = {"r": "rare", "c": "common", "f": "frequent"}
_IMAGE_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")


class LVISDataset(CocoDataset):
    """Images with boxes and masks from an LVIS annotation file: v0.5, v1, or either of them cocofied.

    What differs from `CocoDataset`: an image is found by the last two parts of its "coco_url"
    (``val2017/000000397133.jpg``; a file of LVIS has images of several splits of COCO) or, where there is no
    url, by its "file_name"; a class is called by the first of its "synonyms" (its "name", where it has none);
    images come in the order of their ids; there are no crowds, and every annotation has a mask.

    A record has two more keys, lists of ids of categories **as in the file** (``metadata.
    thing_dataset_id_to_contiguous_id`` gives the classes): "neg_category_ids", which were looked for and are
    not in the image, and "not_exhaustive_category_ids", of which not every object is annotated. What is in
    neither of them and has no annotation in the image was not looked for there.

    A file without "annotations" (of test images) gives records without objects.

    Args:
        json_file: annotation file.
        image_root: folder of ``train2017``, ``val2017``, ...; None: looked for near `json_file`, see
            `candidate_roots`.
        name: for logs and reports; the stem of `json_file` when None.
        on_error: see `CocoDataset`. Also wrong: an annotation without a mask, or whose id is that of another;
            lists of categories that the file does not have.
        verify_images, extra_annotation_keys, ignore_keys, ignore_categories: see `CocoDataset`.

    Attributes:
        class_frequencies: of each class "r" (rare: in 1 to 10 images for training), "c" (common: in 11 to
            100) or "f" (frequent); also ``metadata.extra["class_frequencies"]``. Empty where the file tells
            neither this nor the number of images.
        class_image_counts: of each class the number of images for training that have it, as the file tells;
            the number of its images here where it does not. Also ``metadata.extra["class_image_counts"]``.

    Raises:
        FileNotFoundError, AnnotationError: see `CocoDataset`.
    """

    validated = True

    def __init__(
        self,
        *,
        json_file: str | os.PathLike[str],
        image_root: str | os.PathLike[str] | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool | None = None,
        extra_annotation_keys: Sequence[str] = (),
        ignore_keys: Sequence[str] = (),
        ignore_categories: Sequence[str] = (),
    ) -> None:
        self._listed: dict[int | None, dict[str, Any]] = {}
        self._annotation_ids: set[int] = set()
        self._images_with: Counter[int] = Counter()
        super().__init__(
            json_file=json_file,
            image_root=image_root,
            name=name,
            on_error=on_error,
            verify_images=verify_images,
            extra_annotation_keys=extra_annotation_keys,
            ignore_keys=ignore_keys,
            ignore_categories=ignore_categories,
        )
        ids = list(self.metadata.thing_dataset_id_to_contiguous_id)
        counts = _image_counts(self._listed[number] for number in ids)
        self.class_frequencies = _frequencies((self._listed[number] for number in ids), counts)
        self.class_image_counts = counts or tuple(self._images_with[index] for index in range(len(ids)))
        self.metadata = self.metadata.replace(
            extra={
                "class_frequencies": self.class_frequencies,
                "class_image_counts": self.class_image_counts,
            }
        )
        del self._listed, self._annotation_ids, self._images_with

    def read_file(self) -> dict[str, Any]:
        """Return images, annotations and categories of the file, in the order of their ids."""
        data = read_coco_json(self.json_file, need_annotations=False)
        categories = read_lvis_categories(data["categories"], self.json_file)
        read_categories(categories, self.json_file)  # raises, before the images are held against them
        self._listed = {category_id(entry["id"]): entry for entry in categories}
        images = [_with_file_name(image) for image in data["images"]]
        if all(isinstance(image, dict) and is_whole(image.get("id")) for image in images):
            images.sort(key=lambda image: image["id"])
        return {"images": images, "annotations": data["annotations"], "categories": categories}

    def further_image_problem(self, image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with an image's lists of categories, or None."""
        for key in _IMAGE_LISTS:
            listed = image.get(key, [])
            if not isinstance(listed, list):
                return Problem(f"wrong {key}", f"{key} must be a list of ids of categories, got {listed!r}")
            for each in listed:
                if not is_whole(each) or each not in self._listed:
                    return Problem(
                        f"wrong {key}", f"{key} has {each!r}, which is not among the file's categories"
                    )
        return None

    def further_problem(self, annotation: dict[str, Any], image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with an annotation beyond COCO's rules, or None."""
        number = annotation.get("id")
        if number is not None:
            if not is_whole(number):
                return Problem("wrong id", f"id must be a whole number, got {number!r}")
            if number in self._annotation_ids:
                return Problem("id of another", "another annotation has the same id")
            self._annotation_ids.add(number)
        if annotation.get("iscrowd"):
            return Problem("crowd", "it is a crowd (iscrowd 1), and LVIS has none")
        if "segmentation" not in self._ignored_keys and not annotation.get("segmentation"):
            return Problem("without mask", "it has no segmentation, which every annotation of LVIS has")
        return None

    def make_records(
        self, images: list[dict[str, Any]], by_image: dict[Any, list[dict[str, Any]]], extra: tuple[str, ...]
    ) -> Iterator[Record]:
        """Yield the records, with the lists of categories of each image."""
        contiguous = self.metadata.thing_dataset_id_to_contiguous_id
        for image, record in zip(images, super().make_records(images, by_image, extra), strict=True):
            self._images_with.update({annotation["category_id"] for annotation in record["annotations"]})
            for key in _IMAGE_LISTS:
                record[key] = [number for number in image.get(key, ()) if number in contiguous]
            yield record


class FederatedClassWeights:
    """Weights with which a federated loss samples classes: a power of the number of images of each.

    For ``FastRCNNOutputLayers(get_fed_loss_cls_weights=...)``. The annotation file is read at the first call,
    the first step of a training, so that a model can be built and used where the file is not.

    Args:
        json_file: annotation file for training, whose categories have "image_count", as those of LVIS do.
        freq_weight_power: the power; 0.5 draws a class with four times the images twice as often.
    """

    def __init__(self, *, json_file: str | os.PathLike[str], freq_weight_power: float = 1.0) -> None:
        self.json_file = str(json_file)
        self.freq_weight_power = freq_weight_power
        self._weights: Tensor | None = None

    def __call__(self) -> Tensor:
        """Return (classes,) float32, in the order of the ids of the categories.

        Raises:
            FileNotFoundError, AnnotationError: the file is not there, or not as it should be.
        """
        if self._weights is None:
            listed = read_coco_json(self.json_file, need_annotations=False)["categories"]
            categories = read_lvis_categories(listed, self.json_file)
            counts = _image_counts(sorted(categories, key=lambda entry: category_id(entry["id"]) or 0))
            if not counts:
                raise AnnotationError(
                    f"{self.json_file}: its categories have no 'image_count', by which a federated loss "
                    "draws classes: give get_fed_loss_cls_weights another function"
                )
            self._weights = torch.tensor(counts, dtype=torch.float32) ** self.freq_weight_power
        return self._weights


def get_fed_loss_cls_weights(dataset: Any, freq_weight_power: float = 1.0) -> Tensor:
    """Return (classes,) float32, a power of the number of images of each class of an `LVISDataset`.

    Args:
        dataset: an `LVISDataset`, or a dataset made of one.
        freq_weight_power: the power.

    Raises:
        ValueError: the metadata of the data set has no numbers of images.
    """
    counts = dataset.metadata.extra.get("class_image_counts")
    if counts is None:
        raise ValueError(
            f"data set {dataset.metadata.name!r}: its metadata.extra has no 'class_image_counts', the number "
            "of images of each class; an LVISDataset has"
        )
    return torch.tensor(counts, dtype=torch.float32) ** freq_weight_power


def read_lvis_categories(entries: Sequence[Any], source: str) -> list[Any]:
    """Return copies of the entries of "categories", named as classes are.

    Raises:
        AnnotationError: synonyms, frequency or number of images of one are not what they should be.
    """
    named = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            named.append(entry)  # left to `read_categories`
            continue
        where = f"{source}: categories[{index}] (id {printable(entry.get('id'))})"
        synonyms = entry.get("synonyms") or []
        if not isinstance(synonyms, list) or not all(isinstance(word, str) and word for word in synonyms):
            raise AnnotationError(f"{where}: synonyms must be a list of names, got {printable(synonyms)}")
        frequency = entry.get("frequency")
        if frequency is not None and frequency not in FREQUENCIES:
            raise AnnotationError(
                f"{where}: frequency must be 'r', 'c' or 'f' (rare, common, frequent), got {frequency!r}"
            )
        count = entry.get("image_count")
        if count is not None and (not is_whole(count) or count < 0):
            raise AnnotationError(f"{where}: image_count must be a number of images, got {count!r}")
        named.append({**entry, "name": synonyms[0] if synonyms else entry.get("name")})
    return named


def _image_counts(categories: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """Return "image_count" of each; empty if one has none."""
    counts = [entry.get("image_count") for entry in categories]
    return () if None in counts else tuple(int(count) for count in counts if count is not None)


def _frequencies(categories: Iterator[dict[str, Any]], counts: tuple[int, ...]) -> tuple[Frequency, ...]:
    """Return the frequency of each; by the number of images if not all tell, empty if that is not known."""
    told = [entry.get("frequency") for entry in categories]
    if None not in told:
        return tuple(each for each in told if each is not None)
    return tuple("r" if count <= 10 else "c" if count <= 100 else "f" for count in counts)


def _with_file_name(image: Any) -> Any:
    """Return an entry of "images" whose file_name leads from the folder of COCO's splits to the file."""
    url = image.get("coco_url") if isinstance(image, dict) else None
    if not isinstance(url, str) or not url:
        return image
    return {**image, "file_name": str(PurePosixPath(*PurePosixPath(urlsplit(url).path).parts[-2:]))}
