"""Files of labelme and CVAT, tables of boxes, folders of masks, and data sets of Hugging Face."""

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reader_files import image, labelme, mask, shape, text

from lazycfg.data import (
    AnnotationError,
    BoxCSVDataset,
    CVATDataset,
    HuggingFaceDataset,
    ImageError,
    InstanceMaskDataset,
    LabelMeDataset,
    SemSegDataset,
)
from lazycfg.structures.rle import decode_rle

# -- labelme

TRIANGLE = [[2, 2], [12, 2], [2, 12]]


def test_labelme_shapes(tmp_path):
    image(tmp_path / "a.jpg")
    crop = np.zeros((5, 4), bool)
    crop[1:, 1:3] = True
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "PNG")
    labelme(
        tmp_path / "a.json",
        [
            shape("b", TRIANGLE),
            shape("a", [[20, 15], [10, 5]], "rectangle"),
            shape("a", [[20, 10], [20, 14]], "circle"),
            shape("a", [[3, 2], [7, 7]], "mask", mask=base64.b64encode(stream.getvalue()).decode()),
            shape("b", [[20, 2], [30, 2], [30, 8]], group_id=7),
            shape("b", [[20, 12], [30, 12], [30, 18]], group_id=7),
        ],
        imagePath="..\\pictures\\a.jpg",
    )
    dataset = LabelMeDataset(root=tmp_path)
    assert dataset.metadata.thing_classes == ("a", "b")
    triangle, rectangle, circle, drawn, group = dataset[0]["annotations"]
    assert triangle["bbox"] == [2, 2, 10, 10]
    assert triangle["segmentation"] == [[2, 2, 12, 2, 2, 12]]
    assert rectangle["bbox"] == [10, 5, 10, 10]
    assert circle["bbox"] == pytest.approx([16, 6, 8, 8], abs=0.05)
    assert drawn["bbox"] == [4, 3, 2, 4]
    assert decode_rle(drawn["segmentation"])[3:7, 4:6].all()
    assert decode_rle(drawn["segmentation"]).sum() == 8
    assert len(group["segmentation"]) == 2
    assert group["bbox"] == [20, 2, 10, 16]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (shape("cat", [[1, 1], [5, 5]], "line"), "a line has no area"),
        (shape("cat", [[1, 1]], "point"), "a point has no area"),
        (shape("cat", TRIANGLE[:2]), "a polygon of 2 points"),
        (shape("cat", [[1, 1, 4], [5, 5]]), r"points must be a list of [x, y]"),
        (shape("cat", [[1, None], [5, 5], [2, 2]]), "both finite numbers"),
        (shape("", TRIANGLE), "it has no name of a class"),
        (shape("cta", TRIANGLE), "class 'cta' is none of the 2 of class_names; did you mean 'cat'"),
        (shape("cat", [[0, 0], [3, 3]], "mask", mask="no"), "its mask is no PNG in base64"),
        (shape("cat", [[100, 0], [120, 0], [120, 9]]), "lies outside the image of 40x20"),
        ("cat", "it is a str, not a dict"),
    ],
)
def test_a_wrong_shape_of_labelme(tmp_path, wrong, said):
    image(tmp_path / "a.jpg")
    labelme(tmp_path / "a.json", [shape("cat", TRIANGLE), wrong])
    with pytest.raises(AnnotationError, match=r"a.json: shapes\[1\]") as caught:
        LabelMeDataset(root=tmp_path, class_names=["cat", "dog"])
    assert said in str(caught.value)
    dataset = LabelMeDataset(root=tmp_path, class_names=["cat", "dog"], on_error="skip")
    assert len(dataset.faults) == len(dataset[0]["annotations"]) == 1


def test_wrong_files_of_labelme(tmp_path):
    image(tmp_path / "a.jpg")
    labelme(tmp_path / "a.json", [])
    text(tmp_path / "b.json", "{")
    text(tmp_path / "c.json", "[]")
    labelme(tmp_path / "d.json", [], imageData="aGk=")
    dataset = LabelMeDataset(root=tmp_path, on_error="skip", class_names=["cat"])
    assert [fault.where for fault in dataset.faults] == ["b.json", "c.json", "d.json"]
    assert "only the copy in imageData" in dataset.faults[2].text
    with pytest.raises(FileNotFoundError, match="no JSON files"):
        LabelMeDataset(root=image(tmp_path / "empty" / "a.jpg").parent)


# -- CVAT


def cvat(folder, shapes, labels=("cat", "dog"), attributes='width="40" height="20"'):
    image(folder / "images" / "a.jpg")
    names = "".join(f"<label><name>{name}</name></label>" for name in labels)
    names += "<label><name>nose</name><type>points</type><parent>cat</parent></label>"  # of a skeleton
    meta = f"<meta><task><labels>{names}</labels></task></meta>"
    return text(
        folder / "annotations.xml",
        f'<annotations><version>1.1</version>{meta}<image id="0" name="a.jpg" {attributes}>{shapes}</image>'
        "</annotations>",
    )


def test_cvat_shapes(tmp_path):
    path = cvat(
        tmp_path,
        '<box label="dog" xtl="2" ytl="3" xbr="12" ybr="9.5" occluded="1"/>'
        '<polygon label="cat" points="2,2;12,2;2,12" occluded="0"/>'
        '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="15" rotation="90.0"/>'
        '<mask label="cat" rle="1, 2, 1" left="3" top="4" width="2" height="2"/>'
        '<ellipse label="cat" cx="20" cy="10" rx="8" ry="4"/>'
        '<polygon label="dog" points="1,1;5,1;1,5" group_id="3"/>'
        '<polygon label="dog" points="11,1;15,1;11,5" group_id="3"/>'
        '<tag label="cat"/>',
    )
    dataset = CVATDataset(xml_file=path)
    assert dataset.metadata.thing_classes == ("cat", "dog")
    box, polygon, turned, drawn, ellipse, group = dataset[0]["annotations"]
    assert (box["bbox"], box["category_id"], box["occluded"]) == ([2, 3, 10, 6.5], 1, 1)
    assert polygon["segmentation"] == [[2, 2, 12, 2, 2, 12]]
    assert turned["bbox"] == pytest.approx([15, 0, 10, 20])
    assert len(turned["segmentation"][0]) == 8
    assert drawn["bbox"] == [3, 4, 2, 2]
    assert np.argwhere(decode_rle(drawn["segmentation"])).tolist() == [[4, 4], [5, 3]]
    assert ellipse["bbox"] == pytest.approx([12, 6, 16, 8])
    assert len(group["segmentation"]) == 2


def test_rotated_boxes_of_cvat_turn_clockwise(tmp_path):
    path = cvat(tmp_path, '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="15" rotation="30"/>')
    (annotation,) = CVATDataset(xml_file=path, rotated=True)[0]["annotations"]
    assert annotation["bbox"] == pytest.approx([20, 10, 20, 10, -30])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            '<box label="cta" xtl="2" ytl="3" xbr="12" ybr="9"/>',
            "of the task; did you mean 'cat'",
        ),
        ('<box label="cat" xtl="2" ytl="3" xbr="12"/>', "xtl, ytl, xbr and ybr must be numbers"),
        ('<box label="cat" xtl="12" ytl="3" xbr="2" ybr="9"/>', "has no area"),
        ('<polygon label="cat" points="2,2;12,2;2"/>', "one of them is no pair of numbers"),
        ('<polygon label="cat" points="2,2;12,2"/>', "a polygon of 2 points"),
        ('<polygon label="cat" points="2,2;12,2;x,3"/>', "could not convert"),
        ('<polyline label="cat" points="2,2;12,2"/>', "<polyline> is no object with an area"),
        (
            '<mask label="cat" rle="1, 2" left="3" top="4" width="2" height="2"/>',
            "have 3 pixels",
        ),
        ('<mask label="cat" rle="1, 3" left="39" top="4" width="2" height="2"/>', "beyond the image"),
    ],
)
def test_a_wrong_shape_of_cvat(tmp_path, wrong, said):
    path = cvat(tmp_path, '<box label="dog" xtl="2" ytl="3" xbr="12" ybr="9"/>' + wrong)
    with pytest.raises(AnnotationError, match=r"a.jpg: \w+ 2 \(") as caught:
        CVATDataset(xml_file=path)
    assert said in str(caught.value)
    assert len(CVATDataset(xml_file=path, on_error="skip").faults) == 1


def test_wrong_files_of_cvat(tmp_path):
    path = cvat(tmp_path, "", attributes='width="x" height="20"')
    with pytest.raises(AnnotationError, match=r"image a.jpg .*has no 'width'"):
        CVATDataset(xml_file=path)
    text(path, '<annotations><track><box frame="x"/></track></annotations>')
    with pytest.raises(AnnotationError, match=r"frame 'x', expected a whole number"):
        CVATDataset(xml_file=path)
    text(path, "<annotation/>")
    with pytest.raises(AnnotationError, match=r"its root is <annotation>"):
        CVATDataset(xml_file=path)


def cvat_video(
    folder, tracks, meta="<start_frame>0</start_frame><stop_frame>8</stop_frame>", frames=range(9)
):
    for number in frames:
        image(folder / "images" / f"frame_{number:06}.PNG")
    size = "<original_size><width>40</width><height>20</height></original_size>"
    labels = "<labels><label><name>cat</name></label></labels>"
    return text(
        folder / "annotations.xml",
        f"<annotations><version>1.1</version><meta><task>{meta}{labels}{size}</task></meta>{tracks}"
        "</annotations>",
    )


def seen(dataset):
    """Of each frame, the boxes."""
    return {
        int(Path(record["file_name"]).stem[-6:]): [a["bbox"] for a in record["annotations"]]
        for record in dataset
    }


def track_box(frame, x, outside=0, more=""):
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{x}" ytl="2" xbr="{x + 4}" '
        f'ybr="8" {more}/>'
    )


def test_tracks_of_a_video_are_the_boxes_of_each_frame(tmp_path):
    first = track_box(1, 2) + track_box(5, 10) + track_box(6, 10, outside=1) + track_box(8, 20)
    tracks = f'<track id="0" label="cat">{first}</track><track id="1" label="cat">{track_box(3, 30)}</track>'
    dataset = CVATDataset(xml_file=cvat_video(tmp_path, tracks), verify_images=True)
    boxes = seen(dataset)
    assert {frame: [box[0] for box in found] for frame, found in boxes.items()} == {
        0: [],
        1: [2],
        2: [4],
        3: [6, 30],
        4: [8, 30],
        5: [10, 30],
        6: [30],
        7: [30],
        8: [20, 30],
    }
    assert dataset.metadata.thing_classes == ("cat",)


def test_every_second_frame_and_rotated_boxes(tmp_path):
    meta = "<start_frame>0</start_frame><stop_frame>8</stop_frame><frame_filter>step=4</frame_filter>"
    shapes = track_box(0, 2, more='rotation="350"') + track_box(8, 2, more='rotation="10"')
    path = cvat_video(tmp_path, f'<track id="0" label="cat">{shapes}</track>', meta, frames=(0, 4, 8))
    dataset = CVATDataset(xml_file=path, rotated=True)
    assert [record["annotations"][0]["bbox"][4] for record in dataset] == pytest.approx([-350, -360, -10])


def test_shapes_that_are_no_boxes_are_not_invented(tmp_path):
    shape = '<polygon frame="{}" outside="0" keyframe="1" points="1,1;9,1;1,9"/>'
    track = f'<track id="7" label="cat">{shape.format(0)}{shape.format(3)}</track>'
    path = cvat_video(tmp_path, track)
    with pytest.raises(AnnotationError, match=r"track 7 .* 7 frames from 1 to 8"):
        CVATDataset(xml_file=path)
    every = "".join(shape.format(frame) for frame in range(9))
    path = cvat_video(tmp_path, f'<track id="7" label="cat">{every}</track>')
    assert all(len(boxes) == 1 for boxes in seen(CVATDataset(xml_file=path)).values())


def test_frames_that_are_not_there(tmp_path):
    path = cvat_video(tmp_path, f'<track id="0" label="cat">{track_box(0, 2)}</track>', frames=range(5))
    with pytest.raises(FileNotFoundError, match="frame_000005"):
        CVATDataset(xml_file=path)
    assert len(CVATDataset(xml_file=path, on_error="skip")) == 5
    outside = f'<track id="0" label="cat">{track_box(12, 2)}</track>'
    with pytest.raises(AnnotationError, match="frame 12, which the task has not"):
        CVATDataset(xml_file=cvat_video(tmp_path, outside))


# -- tables


def test_a_table_of_openimages(tmp_path):
    image(tmp_path / "images/0a1.jpg")
    image(tmp_path / "images/0b2.jpg")
    head = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\r\n"
    rows = "0a1,x,/m/01,1,0.1,0.5,0.2,0.6,1,0,0\r\n0a1,x,/m/02,1,0,1,0,1,0,0,1\r\n"
    path = text(tmp_path / "boxes.csv", b"\xef\xbb\xbf" + (head + rows).encode())
    names = text(tmp_path / "names.csv", '/m/02,"Dog, small"\n/m/01,Cat\n')
    dataset = BoxCSVDataset(csv_file=path, class_names=names)
    assert dataset.metadata.thing_classes == ("Dog, small", "Cat")
    cat, dogs = dataset[0]["annotations"]
    assert cat["bbox"] == pytest.approx([4, 4, 16, 8])
    assert (cat["category_id"], cat["iscrowd"], cat["occluded"]) == (1, 0, 1)
    assert dogs["iscrowd"] == 1
    assert len(dataset) == 1
    assert len(BoxCSVDataset(csv_file=path, class_names=names, all_images=True)) == 2
    text(path, head + "0a2,x,/m/01,1,0.1,0.5,0.2,0.6,1,0,0\n0a1,x,/m/03,1,0.1,0.5,0.2,0.6,1,0,0\n"
         "0a1,x,/m/01,1,10,50,20,60,1,0,0\n0a1,x,/m/01,1,0.5,0.1,0.2,0.6,1,0,0\n")  # fmt: skip
    dataset = BoxCSVDataset(csv_file=path, class_names=names, on_error="skip")
    said = [str(fault) for fault in dataset.faults]
    assert "there is no image '0a2'" in said[0]
    assert "did you mean '0b2.jpg'" in said[0]
    assert f"{path}:3: label '/m/03' is not in the file of class_names; did you mean" in said[1]
    assert "coordinates must be 0 to 1" in said[2]
    assert "the first is beyond the second" in said[3]


def test_tables_of_pixels(tmp_path):
    image(tmp_path / "a.jpg")
    image(tmp_path / "b.jpg")
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    table = "a.jpg,40,20,cat,1,2,11,12\nC:\\x\\b.jpg,20,40,cat,1,2,11,12\nb.jpg,40,20,cat,1,y,11,12\n"
    path = text(tmp_path / "t.csv", head + table)
    dataset = BoxCSVDataset(csv_file=path, on_error="skip")
    assert dataset[0]["annotations"][0]["bbox"] == [1, 2, 10, 10]
    assert [fault.kind for fault in dataset.faults] == ["another size", "malformed box"]
    path = text(tmp_path / "r.csv", "/elsewhere/a.jpg,1,2,11,12,cat\nb.jpg,,,,,\n")
    dataset = BoxCSVDataset(csv_file=path)
    assert [len(record["annotations"]) for record in dataset] == [1, 0]
    with pytest.raises(AnnotationError, match=r"its columns \['a', 'b'\] are not known"):
        BoxCSVDataset(csv_file=text(tmp_path / "x.csv", "a,b\n1,2\n"))
    with pytest.raises(AnnotationError, match=r"are not known"):
        BoxCSVDataset(csv_file=text(tmp_path / "x.csv", "a,b,c,d,e,f\n1,2,3,4,5,6\n"))
    with pytest.raises(AnnotationError, match=r"is empty"):
        BoxCSVDataset(csv_file=text(tmp_path / "x.csv", ""))


# -- masks


def test_masks_with_the_numbers_of_objects(tmp_path):
    image(tmp_path / "images/a.jpg", 6, 4)
    values = np.zeros((4, 6))
    values[1:3, 1:3], values[0, 5] = 1, 7
    mask(tmp_path / "masks/a_mask.png", values)
    dataset = InstanceMaskDataset(image_root=tmp_path / "images", mask_root=tmp_path / "masks")
    one, other = dataset[0]["annotations"]
    assert one["bbox"] == [1, 1, 2, 2]
    assert other["bbox"] == [5, 0, 1, 1]
    assert (decode_rle(one["segmentation"]) == (values == 1)).all()
    colours = np.zeros((4, 6, 3))
    colours[values == 1], colours[values == 7] = (255, 0, 0), (0, 255, 0)
    mask(tmp_path / "masks/a_mask.png", colours)
    dataset = InstanceMaskDataset(image_root=tmp_path / "images", mask_root=tmp_path / "masks")
    assert [a["bbox"] for a in dataset[0]["annotations"]] == [[1, 1, 2, 2], [5, 0, 1, 1]]


def test_masks_with_one_value_for_all_and_masks_with_classes(tmp_path):
    image(tmp_path / "a.jpg", 6, 4)
    values = np.zeros((4, 6))
    values[1:3, 1:3], values[0, 5] = 255, 255
    mask(tmp_path / "masks/a.png", values)
    roots = {"image_root": tmp_path, "mask_root": tmp_path / "masks"}
    dataset = InstanceMaskDataset(**roots, separate=True)
    assert sorted(a["bbox"] for a in dataset[0]["annotations"]) == [[1, 1, 2, 2], [5, 0, 1, 1]]
    values[values == 255] = 23
    mask(tmp_path / "masks/a.png", values)
    dataset = InstanceMaskDataset(**roots, class_names=["cat", "dog"], label_divisor=10)
    assert [a["category_id"] for a in dataset[0]["annotations"]] == [1]
    with pytest.raises(AnnotationError, match=r"a.png: value 23: .* of class 2; there are 1"):
        InstanceMaskDataset(**roots, class_names=["cat"], label_divisor=10)
    with pytest.raises(AnnotationError, match=r"does not tell the class: give label_divisor"):
        InstanceMaskDataset(**roots, class_names=["cat", "dog"])


def test_a_file_for_each_mask(tmp_path):
    image(tmp_path / "images/a.jpg", 6, 4)
    values = np.zeros((4, 6))
    values[1:3, 1:3] = 255
    for name in ("cat_1", "dog_2", "catt_3"):
        mask(tmp_path / f"masks/a/{name}.png", values)
    mask(tmp_path / "masks/a/dog_4.png", values[:2])
    mask(tmp_path / "masks/a/dog_5.png", values * 0)
    dataset = InstanceMaskDataset(
        image_root=tmp_path / "images",
        mask_root=tmp_path / "masks",
        class_names=["cat", "dog"],
        on_error="skip",
    )
    assert [a["category_id"] for a in dataset[0]["annotations"]] == [0, 1]
    said = [str(fault) for fault in dataset.faults]
    assert "catt_3.png: class 'catt' is none of the 2" in said[0]
    assert "it is 6x2 (width x height), its image 6x4" in said[1]
    assert "its mask has no pixels" in said[2]


def test_an_image_without_masks(tmp_path):
    image(tmp_path / "images/cat_1.jpg")
    mask(tmp_path / "masks/cat_2.png", np.zeros((20, 40)))
    with pytest.raises(AnnotationError, match=r"there is no mask .*cat_1.png; did you mean 'cat_2.png'"):
        InstanceMaskDataset(image_root=tmp_path / "images", mask_root=tmp_path / "masks")


def test_maps_of_0_and_255(tmp_path):
    image(tmp_path / "images/a.JPG", 6, 4)
    values = np.zeros((4, 6))
    values[1:3, 1:3] = 255
    mask(tmp_path / "masks/a_mask.png", values)
    arguments = {
        "image_root": tmp_path / "images",
        "sem_seg_root": tmp_path / "masks",
        "image_ext": None,
        "sem_seg_ext": "_mask.png",
        "stuff_classes": ["background", "cat"],
    }
    dataset = SemSegDataset(**arguments, label_map={0: 0, 255: 1}, verify=True)
    assert (dataset[0]["sem_seg"] == (values == 255)).all()
    assert "sem_seg_file_name" not in dataset.get_annotations(0)
    dataset = SemSegDataset(**arguments, label_map={0: 0})
    with pytest.raises(AnnotationError, match=r"has the values \[255\], which label_map does not have"):
        dataset[0]
    dataset = SemSegDataset(**arguments, label_map={0: 0, 255: 255})
    assert set(np.unique(dataset[0]["sem_seg"])) == {0, 255}
    with pytest.raises(AnnotationError, match=r"has the labels \[255\]; label_map has \[0\]"):
        SemSegDataset(**arguments, label_map={0: 0}, verify=True)
    with pytest.raises(ValueError, match=r"label_map leads to 2: labels are 0 to 1"):
        SemSegDataset(**arguments, label_map={0: 0, 255: 2})


def test_wrong_maps_are_left_out(tmp_path):
    for name, values in (("a", np.zeros((4, 6))), ("b", np.full((4, 6), 9)), ("c", np.zeros((6, 4)))):
        image(tmp_path / f"images/{name}.jpg", 6, 4)
        mask(tmp_path / f"masks/{name}.png", values)
    image(tmp_path / "images/d.jpg")
    dataset = SemSegDataset(
        image_root=tmp_path / "images", sem_seg_root=tmp_path / "masks", stuff_classes=["x"], verify=True,
        on_error="skip",
    )  # fmt: skip
    assert [record["image_id"] for record in dataset] == ["a"]
    assert [fault.kind for fault in dataset.faults] == ["without partner", "unknown labels", "another size"]


# -- Hugging Face


def rows(objects, turned=False):
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("RGB", (20, 40) if turned else (40, 20)).save(stream, "JPEG", exif=exif if turned else b"")
    return [{"image": {"bytes": stream.getvalue(), "path": None}, "objects": objects}]


def features(of):
    import datasets

    return datasets.Features({"image": datasets.Image(), "objects": of})


def test_a_data_set_of_hugging_face(tmp_path):
    import datasets

    item = {
        "bbox": datasets.List(datasets.Value("float32"), 4),
        "category": datasets.ClassLabel(names=["cat", "dog"]),
    }
    data = rows({"bbox": [[2, 3, 10, 5], [1, 1, 0, 4]], "category": [1, 0]}, turned=True)
    made = datasets.Dataset.from_list(data, features=features({k: datasets.List(v) for k, v in item.items()}))
    with pytest.raises(AnnotationError, match=r"row 0: object 1: .* has no area"):
        HuggingFaceDataset(dataset=made)
    dataset = HuggingFaceDataset(dataset=made, on_error="skip")
    assert dataset.metadata.thing_classes == ("cat", "dog")
    record = dataset[0]
    assert (record["image"].shape, record["height"], record["width"]) == ((20, 40, 3), 20, 40)
    assert [(a["bbox"], a["category_id"]) for a in record["annotations"]] == [([2, 3, 10, 5], 1)]
    assert "image" not in dataset.get_annotations(0)
    datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "saved")
    again = HuggingFaceDataset(dataset=tmp_path / "saved", split="train", on_error="skip")
    assert again.get_annotations(0)["annotations"] == record["annotations"]
    with pytest.raises(ValueError, match=r"one of \['train'\], got 'trian'; did you mean 'train'"):
        HuggingFaceDataset(dataset=tmp_path / "saved", split="trian")
    with pytest.raises(ValueError, match=r"there is no column 'object'; did you mean 'objects'"):
        HuggingFaceDataset(dataset=made, objects_key="object")
    with pytest.raises(ValueError, match=r"have no 'box'.*they have: \['bbox', 'category'\]"):
        HuggingFaceDataset(dataset=made, bbox_key="box")


def test_other_forms_of_objects():
    import datasets

    item = {"box": datasets.List(datasets.Value("float64")), "label": datasets.Value("string")}
    data = rows([{"box": [0.25, 0.25, 0.75, 0.5], "label": "cat"}])
    data += rows([{"box": [0.25, 0.25, 30, 0.5], "label": "cat"}, {"box": [0.1], "label": "cat"}])
    made = datasets.Dataset.from_list(data, features=features(datasets.List(item)))
    arguments = {"dataset": made, "bbox_key": "box", "relative": True, "on_error": "skip"}
    dataset = HuggingFaceDataset(**arguments, box_format="xyxy")
    assert dataset[0]["annotations"][0]["bbox"] == [10, 5, 20, 5]
    assert [fault.where for fault in dataset.faults] == ["row 1: object 0", "row 1: object 1"]
    dataset = HuggingFaceDataset(**arguments, box_format="cxcywh")
    assert dataset[0]["annotations"][0]["bbox"] == [-5, 0, 30, 10]
    with pytest.raises(ValueError, match=r'box_format must be "xywh"'):
        HuggingFaceDataset(**arguments, box_format="yxyx")
    broken = datasets.Dataset.from_list(
        [{"image": {"bytes": b"no image", "path": None}, "objects": []}, *data[:1]],
        features=features(datasets.List(item)),
    )
    dataset = HuggingFaceDataset(**{**arguments, "dataset": broken})
    assert [fault.where for fault in dataset.faults] == ["row 0"]
    assert len(dataset) == 1


def test_without_the_library_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install datasets"):
        HuggingFaceDataset(dataset="x")


def test_damaged_pixels_of_hugging_face_are_an_image_error():
    import datasets

    item = {"bbox": datasets.List(datasets.Value("float64")), "label": datasets.Value("string")}
    data = rows([])
    data[0]["image"]["bytes"] = data[0]["image"]["bytes"][:-20]
    made = datasets.Dataset.from_list(data, features=features(datasets.List(item)))
    dataset = HuggingFaceDataset(dataset=made, class_names=["cat"])
    with pytest.raises(ImageError, match=r"row 0: cannot decode its image"):
        dataset[0]
