"""Semantic segmentation from folders of pictures and label maps."""

import numpy as np
import pytest
from PIL import Image

from lazycfg.data import (
    AnnotationError,
    DatasetMapper,
    ImageError,
    SemSegDataset,
    build_detection_train_loader,
    load_sem_seg,
)


@pytest.fixture
def roots(tmp_path):
    """Pictures of 8x6 pixels in two folders, labels 0, 1, 2 and 255."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    for name in ("a/1", "a/2", "b/3"):
        for root, ending, array in (
            (images, "jpg", np.full((6, 8, 3), 50, np.uint8)),
            (labels, "png", (np.arange(48).reshape(6, 8) % 3).astype(np.uint8)),
        ):
            path = root / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if ending == "png":
                array[0, 0] = 255
            Image.fromarray(array).save(path)
    return images, labels


def make(roots, **options):
    return SemSegDataset(
        image_root=roots[0], sem_seg_root=roots[1], **{"stuff_classes": ("x", "y", "z"), **options}
    )


def test_pairs_are_found_by_their_names(roots):
    records = load_sem_seg(roots[1], roots[0])
    assert [r["image_id"] for r in records] == ["a/1", "a/2", "b/3"]
    assert records[2]["sem_seg_file_name"] == str(roots[1] / "b" / "3.png")


def test_training_batches(roots):
    dataset = make(roots, verify=True)
    assert (len(dataset), dataset.num_classes) == (3, 3)
    assert dataset.image_sizes.tolist() == [[6, 8]] * 3
    loader = build_detection_train_loader(
        dataset=dataset, mapper=DatasetMapper(is_train=True), total_batch_size=3
    )
    for sample in next(iter(loader)):
        assert sample["image"].shape == (3, 6, 8)
        assert sample["sem_seg"][0].tolist() == [255, 1, 2, 0, 1, 2, 0, 1]
        assert "instances" not in sample


def test_files_without_partner(roots):
    (roots[1] / "a" / "1.png").unlink()
    (roots[0] / "b" / "3.jpg").unlink()
    with pytest.raises(AnnotationError, match=r"2 files.*1\.jpg has no label map; .*3\.png has no image"):
        make(roots)
    assert [r["image_id"] for r in make(roots, on_error="skip")] == ["a/2"]


def test_no_such_files(roots, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ending '\.tif'.*there are files with \.png"):
        make(roots, sem_seg_ext="tif")
    with pytest.raises(FileNotFoundError, match=r"no folder .*none"):
        make((roots[0], tmp_path / "none"))


def test_wrong_maps_are_found_at_once_if_asked(roots):
    with pytest.raises(AnnotationError, match=r"3 label maps are wrong:\n .*1\.png has the labels \[2\]"):
        make(roots, stuff_classes=("x", "y"), verify=True)
    Image.fromarray(np.zeros((5, 8), np.uint8)).save(roots[1] / "a" / "2.png")
    with pytest.raises(AnnotationError, match=r"1 label maps.*\n.*2\.png is 8x5 .* its image 8x6"):
        make(roots, verify=True)


def test_wrong_maps_are_named_when_used(roots):
    mapper = DatasetMapper(is_train=True)
    Image.fromarray(np.zeros((5, 8), np.uint8)).save(roots[1] / "a" / "1.png")
    with pytest.raises(ImageError, match=r"image_id a/1.*1\.png is 8x5 .* its image 8x6"):
        mapper(make(roots)[0])
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(roots[1] / "a" / "1.png")
    with pytest.raises(ImageError, match=r"1\.png' is an image of 3 channels"):
        mapper(make(roots)[0])
    (roots[1] / "a" / "2.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"cannot decode label map .*2\.png"):
        mapper(make(roots)[1])


def test_many_classes(roots):
    labels = np.full((6, 8), 300, np.uint16)
    Image.fromarray(labels).save(roots[1] / "a" / "1.png")
    sample = DatasetMapper(is_train=True)(make(roots)[0])
    assert (sample["sem_seg"] == 300).all()


def test_label_maps_in_jpeg_files_are_refused(roots):
    wrong = roots[1] / "a/1.png"
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(wrong, "JPEG")
    with pytest.raises(ImageError, match=r"a/1\.png' is a JPEG, whose compression changes values.*as PNG"):
        DatasetMapper(is_train=True)(make(roots)[0])
    skipped = make(roots, verify=True, on_error="skip")
    assert len(skipped) == 2
    assert "is a JPEG" in skipped.faults[0].text
