"""Pascal VOC's folders, and XML files that tools write like them."""

import pytest
from reader_files import image, text, voc, voc_object, voc_xml

from lazycfg.data import AnnotationError, VOCDataset
from lazycfg.data.datasets import VOC_CLASSES
from lazycfg.structures import BoxMode


def test_a_folder_of_the_challenge(tmp_path):
    root = voc(
        tmp_path / "VOC2007",
        {
            "000005": voc_xml(
                voc_object("chair", (3, 5, 23, 15), truncated=1, difficult=1), voc_object("cat", difficult=0)
            ),
            "000007": voc_xml(),
            "000009": voc_xml(voc_object("dog")),
        },
        {"trainval": "000005\r\n000007\r\n", "test": "000009\n"},
    )
    dataset = VOCDataset(root=root, split="trainval")
    assert dataset.metadata.thing_classes == VOC_CLASSES
    assert dataset.metadata.extra == {"year": 2007}
    assert dataset.metadata.name == "VOC2007_trainval"
    assert [record["image_id"] for record in dataset] == ["000005", "000007"]
    chair, cat = dataset[0]["annotations"]
    assert chair["bbox"] == [2, 4, 21, 11]  # pixels count from 1, and the last is inside
    assert BoxMode.convert(chair["bbox"], chair["bbox_mode"], BoxMode.XYXY_ABS) == [2, 4, 23, 15]
    assert (chair["difficult"], chair["truncated"], cat["difficult"]) == (1, 1, 0)
    assert VOC_CLASSES[chair["category_id"]] == "chair"
    assert len(VOCDataset(root=root)) == 3
    assert len(VOCDataset(root=root, split="test")) == 1


def test_lists_that_are_wrong(tmp_path):
    root = voc(tmp_path, {"000005": voc_xml(voc_object())}, {"train": "000005\n000006  1\n"})
    with pytest.raises(FileNotFoundError, match=r"'.*trian.txt' of the images.*did you mean 'train'"):
        VOCDataset(root=root, split="trian")
    with pytest.raises(AnnotationError, match=r"train.txt:2: there is no .*06.xml; did you mean '000005'"):
        VOCDataset(root=root, split="train")
    assert len(VOCDataset(root=root, split="train", on_error="skip")) == 1


def test_a_folder_of_your_own(tmp_path):
    image(tmp_path / "one.JPG")
    image(tmp_path / "two.png", 40, 20, orientation=None)
    text(
        tmp_path / "one.xml",
        b"\xef\xbb\xbf" + voc_xml(voc_object("b"), filename="C:\\data\\one.jpg").encode(),
    )
    xml = voc_xml(voc_object("a", (1.5, 2.5, 10.25, 12)), size=(0, 0)).replace("><", ">\r\n<")
    text(tmp_path / "two.xml", xml)
    dataset = VOCDataset(root=tmp_path, class_names=None)
    assert dataset.metadata.thing_classes == ("a", "b")
    assert dataset.metadata.extra == {"year": 2012}
    assert [record["file_name"] for record in dataset] == [
        str(tmp_path / "one.JPG"),
        str(tmp_path / "two.png"),
    ]
    assert dataset[1]["annotations"][0]["bbox"] == [0.5, 1.5, 9.75, 10.5]
    assert (dataset[1]["width"], dataset[1]["height"]) == (40, 20)
    with pytest.raises(AnnotationError, match=r"one.xml: object 1 \('b'\): class 'b' is none of the 20"):
        VOCDataset(root=tmp_path)


def test_files_in_utf_16(tmp_path):
    image(tmp_path / "a.jpg")
    text(
        tmp_path / "a.xml",
        f'<?xml version="1.0" encoding="utf-16"?>{voc_xml(voc_object("čtyři"))}'.encode("utf-16"),
    )
    assert VOCDataset(root=tmp_path, class_names=None).metadata.thing_classes == ("čtyři",)


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        (voc_object("catt"), "class 'catt' is none of the 2 of class_names; did you mean 'cat'"),
        (voc_object(""), "it has no name of a class"),
        (voc_object(box=(3, "x", 23, 15)), "ymin must be a number, got 'x'"),
        ("<object><name>cat</name></object>", "it has no <bndbox>"),
        (voc_object(box=(23, 5, 3, 15)), "the first corner is beyond the second"),
        (voc_object(box=(300, 5, 323, 15)), "lies outside the image of 40x20"),
        (voc_object(difficult="yes"), "difficult must be 0 or 1, got 'yes'"),
        (voc_object(box=("nan", 5, 23, 15)), "not finite"),
    ],
)
def test_a_wrong_object_is_named_with_file_number_and_reason(tmp_path, objects, said):
    root = voc(tmp_path, {"a": voc_xml(voc_object(), objects)})
    with pytest.raises(AnnotationError, match=r"Annotations/a.xml: object 2 \(") as caught:
        VOCDataset(root=root, class_names=["cat", "dog"])
    assert said in str(caught.value)
    dataset = VOCDataset(root=root, class_names=["cat", "dog"], on_error="skip")
    assert len(dataset[0]["annotations"]) == 1
    assert len(dataset.faults) == 1


def test_wrong_files(tmp_path):
    root = voc(
        tmp_path,
        {
            "a": voc_xml(voc_object()),
            "b": "<annotation><object>",
            "c": "<annotations/>",
            "d": '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx">]><annotation>&x;</annotation>',
            "e": voc_xml(voc_object(), size=None),
        },
    )
    (tmp_path / "JPEGImages/e.jpg").unlink()
    dataset = VOCDataset(root=root, on_error="skip")
    assert [fault.where for fault in dataset.faults] == [f"Annotations/{n}.xml" for n in "bcde"]
    said = [fault.text for fault in dataset.faults]
    for text_, part in zip(
        said, ("is not XML", "expected <annotation>", "DOCTYPE", "there is no image"), strict=True
    ):
        assert part in text_
    assert len(dataset) == 1


def test_sizes_are_compared_with_upright_images(tmp_path):
    voc(tmp_path, {"a": voc_xml(voc_object(box=(1, 1, 10, 10)), size=(20, 40))})
    assert len(VOCDataset(root=tmp_path)) == 1
    with pytest.raises(AnnotationError, match=r"is 40x20, the record says 20x40; sides are swapped: .* EXIF"):
        VOCDataset(root=tmp_path, verify_images=True)
    image(tmp_path / "JPEGImages/a.jpg", 20, 40, orientation=6)
    assert len(VOCDataset(root=tmp_path, verify_images=True)) == 1


def test_missing_images(tmp_path):
    voc(tmp_path, {"cat1": voc_xml(voc_object(), filename="cat1.jpg")})
    (tmp_path / "JPEGImages/cat1.jpg").rename(tmp_path / "JPEGImages/cat2.jpg")
    with pytest.raises(FileNotFoundError, match=r"1 of 1 images are not in .*did you mean 'cat2.jpg'"):
        VOCDataset(root=tmp_path)
    assert len(VOCDataset(root=tmp_path, verify_images=False)) == 1


def test_pixels_that_count_from_0(tmp_path):
    voc(tmp_path, {"a": voc_xml(voc_object(box=(0, 0, 10, 10)))})
    assert "first_pixel=0 reads them so" in VOCDataset(root=tmp_path).warnings[0]
    dataset = VOCDataset(root=tmp_path, first_pixel=0)
    assert dataset[0]["annotations"][0]["bbox"] == [0, 0, 10, 10]
    assert not dataset.warnings
    with pytest.raises(ValueError, match=r"first_pixel must be 0 or 1, got 2"):
        VOCDataset(root=tmp_path, first_pixel=2)


def test_names_that_may_be_misspelled_are_told(tmp_path):
    many = [voc_object("helmet", (1, 1, 5 + i, 5)) for i in range(30)]
    voc(tmp_path, {"a": voc_xml(*many, voc_object("helmt"), voc_object("Helmet", (1, 1, 9, 9)))})
    said = VOCDataset(root=tmp_path, class_names=None).warnings
    assert any("class 'helmt' (1 times): did you mean 'helmet' (30 times)" in sentence for sentence in said)
    assert any("class 'Helmet' (1 times): did you mean 'helmet'" in sentence for sentence in said)


def test_a_file_that_tells_another_image_is_a_warning(tmp_path):
    voc(tmp_path, {"a": voc_xml(voc_object(), filename="b.jpg"), "b": voc_xml(filename="b.jpg")})
    dataset = VOCDataset(root=tmp_path)
    assert dataset[0]["file_name"].endswith("a.jpg")
    assert "tell another file name than their own" in dataset.warnings[0]


def test_without_any_object_the_classes_are_asked_for(tmp_path):
    voc(tmp_path, {"a": voc_xml()})
    with pytest.raises(AnnotationError, match=r"no object, which would tell the classes: give class_names$"):
        VOCDataset(root=tmp_path, class_names=None)
    voc(tmp_path, {"a": voc_xml(voc_object(""))})
    with pytest.raises(AnnotationError, match=r"give class_names; skipped 1 annotation: 1 x without class"):
        VOCDataset(root=tmp_path, class_names=None, on_error="skip")


def test_no_folder_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder"):
        VOCDataset(root=tmp_path / "VOC2007")
    with pytest.raises(FileNotFoundError, match=r"no XML files in"):
        VOCDataset(root=tmp_path)
