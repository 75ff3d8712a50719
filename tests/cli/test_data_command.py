"""`lazycfg data`: what a data set holds, what is wrong with it, and the file without that."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lazycfg.cli.main import main
from lazycfg.data import CocoDataset, ShapesDataset, convert_to_coco_json
from lazycfg.utils.segment_ids import id2rgb

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from panoptic_files import segment_ids, write_panoptic
from reader_files import image, labelme, mask, shape, text, voc, voc_object, voc_xml, yolo


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            status = main(["data", *map(str, words)])
        except SystemExit as leaving:
            status = leaving.code
        captured = capsys.readouterr()
        assert all(len(line) <= 80 or len(line.split()) <= 2 for line in captured.out.splitlines())
        return status, captured.out, captured.err

    return call


@pytest.fixture
def pets(tmp_path):
    yolo(
        tmp_path / "pets",
        {
            "a": "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.25 0.25\n",
            "b": "0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.5 0.5\n",
            "c": "",
        },
    )
    yolo(tmp_path / "pets", {"d": "1 0.5 0.5 0.5 1.7\n"}, split="val")
    text(tmp_path / "pets/labels/val/e.txt", "")
    return tmp_path / "pets"


def flat(out):
    return " ".join(out.split())


def test_what_there_is_and_everything_that_is_wrong(run, pets):
    status, out, err = run(pets)
    assert (status, err) == (1, "")
    said = flat(out)
    assert "pets (train): yolo, YoloDataset 3 images (1 without objects), 4 objects of 2 classes" in said
    assert "images of 40x20 (3) (width x height)" in said
    assert "class objects images small medium large cat 3 2 3 0 0 dog 1 1 1 0 0" in said
    assert "labels/train/b.txt:3: class 7 is none of the 2 (0 'cat', 1 'dog')" in said
    assert "b.jpg: object 1 (cat) is object 0 once more: the same class, box and mask" in said
    assert "labels/val/d.txt:1: coordinates must be parts of the width and height, 0 to 1, got 1.7" in said
    assert "labels/val/e.txt: there is no image of this name" in said
    assert out.splitlines()[-1] == "4 things are wrong"


def test_nothing_wrong(run, tmp_path):
    json_file, _ = ShapesDataset(num_images=4, image_size=64, seed=0).export_coco(tmp_path / "shapes")
    status, out, _ = run(json_file)
    assert status == 0
    assert out.splitlines()[-1] == "nothing is wrong"
    assert run(json_file.parent)[0] == 0


def test_fix_writes_what_can_be_used_and_says_what_it_dropped(run, pets, tmp_path):
    out = tmp_path / "fixed" / "out.json"
    status, said, _ = run(pets, "--part", "train", "--fix", out)
    assert status == 1
    assert f"wrote {out}: 3 images, 3 annotations" in flat(said)
    assert "dropped: 1 x annotation: unknown class, 1 x annotation: the same once more" in flat(said)
    dataset = CocoDataset(json_file=out)
    assert [len(record["annotations"]) for record in dataset] == [2, 1, 0]
    assert dataset.metadata.thing_classes == ("cat", "dog")
    assert dataset[0]["annotations"][0]["bbox"] == pytest.approx([10, 5, 20, 10])
    assert run(out)[0] == 1  # names lead out of its folder
    status, _, err = run(pets, "--part", "train", "--fix", out)
    assert status == 2
    assert "is there already: it is not overwritten" in err


def test_nothing_is_written_where_one_of_the_files_is_there(run, pets, tmp_path):
    (tmp_path / "out_val.json").write_text("mine")
    status, out, err = run(pets, "--fix", "out.json")
    assert (status, out) == (2, "")
    assert "out_val.json is there already" in err
    assert not (tmp_path / "out_train.json").exists()
    assert (tmp_path / "out_val.json").read_text() == "mine"


def test_fix_beside_the_images_is_right(run, pets):
    assert run(pets, "--fix", pets / "out.json")[0] == 1
    assert run(pets / "out_train.json")[:2] == (0, run(pets / "out_train.json")[1])
    assert run(pets / "out_val.json")[0] == 0
    assert not list(pets.glob(".partial*"))


def test_split_is_seeded_and_by_class(run, tmp_path):
    files = {f"{i:02}": voc_xml(voc_object("rare" if i % 5 == 0 else "often")) for i in range(20)}
    voc(tmp_path / "own", files)
    assert run(tmp_path / "own", "--fix", "a.json", "--split", "0.75")[0] == 0
    counts = {}
    for part in ("train", "val"):
        content = json.loads((tmp_path / f"a_{part}.json").read_text())
        names = {c["id"]: c["name"] for c in content["categories"]}
        counts[part] = sorted(names[a["category_id"]] for a in content["annotations"])
        assert len(content["images"]) == len(content["annotations"])
    assert counts == {"train": ["often"] * 12 + ["rare"] * 3, "val": ["often"] * 4 + ["rare"]}
    assert run(tmp_path / "own", "--fix", "b.json", "--split", "0.75")[0] == 0
    assert (tmp_path / "a_val.json").read_text() == (tmp_path / "b_val.json").read_text()
    assert run(tmp_path / "own", "--fix", "c.json", "--split", "0.75", "--seed", "1")[0] == 0
    assert (tmp_path / "a_val.json").read_text() != (tmp_path / "c_val.json").read_text()


def test_difficult_objects_stay_difficult(run, tmp_path):
    voc(tmp_path / "own", {"a": voc_xml(voc_object("cat", difficult=1), voc_object("cat", (1, 1, 9, 9)))})
    run(tmp_path / "own", "--fix", "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert [a.get("difficult") for a in content["annotations"]] == [1, None]


def test_show_writes_images(run, pets, tmp_path):
    run(pets, "--part", "train", "--show", "2", "--output", "seen")
    files = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert files == ["train_000000_a.png", "train_000001_b.png"]
    assert np.asarray(Image.open(tmp_path / "seen" / files[0])).std() > 0


def test_masks(run, tmp_path):
    image(tmp_path / "set/images/a.jpg", 10, 4)
    values = np.zeros((4, 10))
    values[:, 5:] = 255
    mask(tmp_path / "set/masks/a.png", values)
    status, out, _ = run("set", "--show", "1")
    assert status == 0
    assert "background 50.00% 1 object 50.00% 1" in flat(out)
    assert "instance" not in out
    assert "1 object of 1 class" in run("set", "--format", "instance-masks")[1]
    mask(tmp_path / "each/masks/a/1.png", values)
    image(tmp_path / "each/images/a.jpg", 10, 4)
    status, out, _ = run("each")  # a file for each object
    assert (status, "1 object of 1 class" in out) == (0, True)
    values[0, 0] = 3
    mask(tmp_path / "set/masks/b.png", values)
    status, out, _ = run("set")
    assert status == 1
    assert "b.png has no image" in flat(out)
    status, _, err = run("set", "--fix", "x.json")
    assert status == 2
    assert "classes of pixels" in err


def test_coco_files_with_everything_wrong(run, tmp_path):
    content = {
        "images": [
            {"id": 1, "file_name": "images\\a.jpg", "width": 40, "height": 20},
            {"id": 2, "file_name": "/home/x/set/images/b.jpg", "width": 40, "height": 20},
            {"id": 3, "file_name": "images/c.jpg", "width": 20, "height": 40},
            {"id": 4, "file_name": "images/d.jpg", "width": 40, "height": 20},
            {"id": 5, "file_name": "images/broken.jpg", "width": 40, "height": 20},
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "bbox": [1, 1, 9, 9],
                "segmentation": [[1, 1, 9, 9, 2]],
            },
            {"id": 2, "image_id": 2, "category_id": 3, "bbox": [1, 1, 9, 9]},
            {"id": 3, "image_id": 9, "category_id": 1, "bbox": [1, 1, 9, 9]},
            {"id": 4, "image_id": 2, "category_id": 1, "bbox": [1, 1, 0, 9]},
        ],
    }
    for name in ("a.jpg", "b.jpg", "c.jpg", "D.JPG"):
        image(tmp_path / "images" / name)
    text(tmp_path / "images/broken.jpg", b"no image")
    path = text(tmp_path / "set.json", b"\xef\xbb\xbf" + json.dumps(content).encode())
    status, out, _ = run(path)
    said = flat(out)
    assert status == 1
    for fault in (
        "image 3 (images/c.jpg): the image is 40x20, the record says 20x40",
        "image 4 (images/d.jpg): the file is missing; did you mean 'D.JPG'?",
        "image 5 (images/broken.jpg): the file ",
        "annotation 1 of images/a.jpg: segmentation has a polygon of 5 numbers, which is not even",
        "annotation 2 of images/b.jpg: category_id 3 is not among the file's categories",
        "annotation 3: image_id 9 is not among the file's images",
        "annotation 4 of images/b.jpg: bbox [1, 1, 0, 9] ([x, y, width, height]) has no area",
        "2 of 5 file names are of another machine",
    ):
        assert fault in said
    run(path, "--fix", "good.json")
    assert [len(record["annotations"]) for record in CocoDataset(json_file="good.json")] == [1, 0]


def test_a_folder_around_the_folder_is_seen_through(run, tmp_path):
    xml = voc_xml(voc_object("cat"))
    for year, lists in (("VOC2007", {"train": "a", "test": "b"}), ("VOC2012", {"train": "a"})):
        voc(tmp_path / "got" / "VOCdevkit" / year, {"a": xml, "b": xml}, lists)
    (tmp_path / "got" / "__MACOSX").mkdir()
    code, out, _ = run("got")
    assert code == 0
    found = [line for line in out.splitlines() if line.startswith("got (")]
    names = ("VOC2007_train", "VOC2007_test", "VOC2012_train")
    assert found == [f"got ({name}): voc, VOCDataset" for name in names]
    code, _, err = run("got", "--part", "train")
    assert "VOC2007_train, VOC2007_test, VOC2012_train" in flat(err)
    (tmp_path / "got" / "VOCdevkit" / "VOC2007").rename(tmp_path / "got" / "VOCdevkit" / "VOC2012" / "older")
    assert run("got", "--part", "train")[0] == 0


def test_what_cannot_be_read_at_all(run, tmp_path):
    image(tmp_path / "a.jpg")
    text(tmp_path / "set.json", '{"images": [], "annotations": [], "categories": []}')
    status, out, _ = run("set.json")
    assert status == 1
    assert "cannot be read: set.json: the list of categories is empty" in flat(out)
    for name, said in {
        "nowhere": "no file or folder 'nowhere'",
        ".": "is no data set of a format that is known",
        "a.jpg": "is no data set of a format that is known. Known are huggingface, coco, yolo",
    }.items():
        (tmp_path / "set.json").unlink(missing_ok=True)
        status, out, err = run(name)
        assert (status, out) == (2, "")
        assert said in flat(err)


def test_mistakes_in_the_command_line(run, pets):
    for words, said in {
        ("--format", "yollo"): "did you mean 'yolo'",
        ("--part", "trian"): "has no part 'trian'; did you mean 'train'?; it has train, val",
        ("--split", "0.8"): "--split needs --fix",
        ("--split", "80", "--fix", "x.json"): "must be the share for training, such as 0.8",
        ("--split", "0.8", "--fix", "x.json"): "is split already (train, val): give one of them as --part",
        ("--fix", "x.yaml"): "must be the name of a .json file",
        ("--images", "x"): "--images is not for the format yolo",
        ("more",): "takes one file or folder",
    }.items():
        status, _, err = run(pets, *words)
        assert status == 2
        assert said in flat(err)


def test_decode_reads_the_pixels(run, pets):
    path = image(pets / "images/train/c.jpg", 400, 200)
    path.write_bytes(path.read_bytes()[:-400])
    assert "cannot decode" not in run(pets, "--part", "train")[1]
    status, out, _ = run(pets, "--part", "train", "--decode")
    assert status == 1
    assert "cannot decode image" in flat(out)


def test_lines_of_a_file_that_are_wrong_alike_are_one_fault(run, pets):
    text(pets / "labels/train/c.txt", "0 abc 0.5 0.5 0.5\n" * 5 + "0 0.5 0.5 0.5\n")
    status, out, _ = run(pets, "--part", "train", "--fix", "good.json")
    said = flat(out)
    assert status == 1
    assert (
        "c.txt: expected five numbers (class, x, y, width, height), or class and points of a polygon, got "
        "'abc' (5 lines: 1, 2, 3, 4, 5)" in said
    )
    assert "c.txt:6: it has 3 numbers after the class" in said
    assert "5 x annotation: values that are no numbers" in said


def test_boxes_over_the_border_are_counted(run, tmp_path):
    json_file, _ = ShapesDataset(num_images=8, image_size=200, seed=3).export_coco(tmp_path / "set")
    content = json.loads(Path(json_file).read_text())
    content["annotations"][0]["bbox"][0] = -10.0
    for annotation in content["annotations"]:
        annotation.pop("segmentation", None)
    Path(json_file).write_text(json.dumps(content))
    status, out, _ = run(json_file)
    total = len(content["annotations"])
    assert status == 1
    assert (
        f"1 of {total} boxes reach over the border of their image and are trained as what is inside it"
        in flat(out)
    )


def test_fix_drops_the_images_that_decode_has_found(run, pets):
    path = image(pets / "images/train/a.jpg", 400, 200)
    path.write_bytes(path.read_bytes()[:-400])
    status, out, _ = run(pets, "--part", "train", "--decode", "--fix", "good.json")
    assert status == 1
    assert "wrote good.json: 2 images, 1 annotation - dropped:" in flat(out)
    assert "1 x image: cannot be decoded" in flat(out)
    written = json.loads(Path("good.json").read_text())
    assert sorted(Path(entry["file_name"]).name for entry in written["images"]) == ["b.jpg", "c.jpg"]
    assert {entry["image_id"] for entry in written["annotations"]} <= {e["id"] for e in written["images"]}
    assert [entry["id"] for entry in written["annotations"]] == [1]


def export(kind, folder):
    """Write the same object in a format, and return what there should be told of it."""
    if kind == "yolo":
        yolo(folder, {"a": "0 0.5 0.5 0.5 0.5"}, "train: images/train\nnames: [cat]\n")
    elif kind == "yolo without yaml":
        yolo(folder, {"a": "0 0.5 0.5 0.5 0.5"})
        (folder / "data.yaml").unlink()
        (folder / "images/val").rmdir()
        text(folder / "classes.txt", "cat")
    elif kind == "voc":
        voc(folder, {"a": voc_xml(voc_object("cat", (11, 6, 30, 15)))}, {"trainval": "a"})
    elif kind == "xml beside the images":
        image(folder / "a.jpg")
        text(folder / "a.xml", voc_xml(voc_object("cat", (11, 6, 30, 15))))
    elif kind == "cvat":
        image(folder / "images/a.jpg")
        meta = "<meta><job><labels><label><name>cat</name></label></labels></job></meta>"
        box = '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="15"/>'
        found = f'<image name="a.jpg" width="40" height="20">{box}</image>'
        text(folder / "annotations.xml", f"<annotations>{meta}{found}</annotations>")
    elif kind == "labelme":
        image(folder / "a.jpg")
        labelme(folder / "a.json", [shape("cat", [[10, 5], [30, 15]], "rectangle")])
    elif kind == "csv":
        image(folder / "train/a.jpg")
        text(folder / "train/_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n"
             "a.jpg,40,20,cat,10,5,30,15\n")  # fmt: skip
    elif kind == "roboflow":
        image(folder / "valid/a.jpg")
        categories = [{"id": 0, "name": "animals", "supercategory": "none"}, {"id": 1, "name": "cat"}]
        box = {"id": 0, "image_id": 0, "category_id": 1, "bbox": [10, 5, 20, 10], "area": 200, "iscrowd": 0}
        content = {
            "info": {},
            "images": [{"id": 0, "file_name": "a.jpg", "width": 40, "height": 20}],
            "categories": categories,
            "annotations": [{**box, "segmentation": []}],
        }
        text(folder / "valid/_annotations.coco.json", json.dumps(content))


KINDS = (
    "yolo", "yolo without yaml", "voc", "xml beside the images", "cvat", "labelme", "csv", "roboflow",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_format_is_recognised_and_written_as_coco(run, tmp_path, kind):
    export(kind, tmp_path / "set")
    status, _, err = run("set", "--fix", "set/out.json")
    assert (status, err) == (0, "")
    dataset = CocoDataset(json_file=tmp_path / "set" / "out.json")
    (record,) = dataset
    (annotation,) = record["annotations"]
    assert annotation["bbox"] == pytest.approx([10, 5, 20, 10])
    assert dataset.metadata.thing_classes[annotation["category_id"]] == "cat"
    assert Path(record["file_name"]).is_file()


def test_a_process_of_its_own_imports_no_part_of_training(tmp_path):
    json_file, _ = ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path)
    code = (
        "import sys; from lazycfg.cli.main import main; status = main(['data', sys.argv[1]]); "
        "print(status, sorted(m for m in sys.modules if m.startswith(('lazycfg.engine', 'lazycfg.modeling', "
        "'lazycfg.solver', 'lazycfg.checkpoint', 'lazycfg.evaluation', 'datasets', 'matplotlib'))))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(json_file)], capture_output=True, text=True, check=True
    )
    assert out.stdout.splitlines()[-1] == "0 []"
    assert out.stderr == ""


def test_where_images_are_not(run, tmp_path):
    json_file, images = ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path / "a")
    images.rename(tmp_path / "elsewhere")
    status, out, _ = run(json_file)
    assert status == 1
    assert "cannot be read: the images of" in flat(out)
    assert run(json_file, "--images", "elsewhere")[0] == 0
    assert convert_to_coco_json(CocoDataset(json_file=json_file, verify_images=False), "b.json").is_file()


def test_a_split_that_is_not_there_hides_no_other_fault(run, pets):
    text(pets / "data.yaml", "train: images/train\nval: nowhere\nnames: [cat, dog]\n")
    status, out, _ = run(pets)
    assert status == 1
    assert "class 7 is none of the 2" in flat(out)
    assert "pets (val): yolo - cannot be read: " in flat(out)
    assert "val: there is no folder or file 'nowhere'" in flat(out)
    text(pets / "data.yaml", "train: images/train\n")
    status, out, err = run(pets, "--format", "yolo")
    assert (status, err) == (1, "")
    assert "has no 'names', the names of the classes" in flat(out)


def test_what_a_coco_file_would_lose_is_not_written(run, tmp_path):
    json_file, _ = ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path)
    content = json.loads(json_file.read_text())
    for entry in content["images"]:
        entry["neg_category_ids"] = []
    json_file.write_text(json.dumps(content))
    status, out, err = run(json_file, "--fix", "out.json")
    assert "LVISDataset" in out
    assert status == 2
    assert "--fix: it is one of LVIS" in err
    assert not (tmp_path / "out.json").exists()


def test_keypoints_and_their_skeleton_are_kept(run, tmp_path):
    yaml = "train: images/train\nnames: [person]\nkpt_shape: [2, 3]\n"
    yolo(tmp_path / "set", {"a": "0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.6 0.5 1"}, yaml)
    assert run("set", "--fix", "set/out.json")[0] == 0
    content = json.loads((tmp_path / "set/out.json").read_text())
    content["categories"][0]["skeleton"] = [[1, 2]]
    (tmp_path / "set/out.json").write_text(json.dumps(content))
    assert run("set/out.json", "--fix", "set/again.json")[0] == 0
    again = json.loads((tmp_path / "set/again.json").read_text())
    assert again["categories"] == content["categories"]
    assert again["annotations"][0]["keypoints"] == content["annotations"][0]["keypoints"]
    assert again["annotations"][0]["num_keypoints"] == 2


def test_fix_says_what_a_coco_file_cannot_say(run, tmp_path):
    yaml = "train: images/train\nnames: [person]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
    yolo(tmp_path / "set", {"a": "0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.6 0.5 1"}, yaml)
    status, out, _ = run("set", "--fix", "set/out.json")
    assert status == 0
    assert "give CocoDataset keypoint_flip_map=[['keypoint 0', 'keypoint 1']]" in flat(out)


def test_fix_keeps_what_only_looks_wrong_and_writes_nothing_of_nothing(run, tmp_path):
    json_file, _ = ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path / "shapes")
    content = json.loads(json_file.read_text())
    content["annotations"][0]["area"] = 0
    json_file.write_text(json.dumps(content))
    assert "what only looks wrong is written as it is" in flat(run(json_file, "--fix", "shapes/a.json")[1])
    for entry in content["images"]:
        del entry["width"]
    json_file.write_text(json.dumps(content))
    status, out, err = run(json_file, "--fix", "shapes/b.json")
    assert (status, "it has no 'width'" in out) == (2, True)
    assert "--fix: none of its images can be used: there is nothing to write" in err
    assert not (tmp_path / "shapes/b.json").exists()


def test_panoptic_files_and_their_faults(run, tmp_path):
    paths = write_panoptic(tmp_path / "coco")
    status, out, _ = run("coco", "--part", "panoptic_train2017")
    assert status == 0
    assert "2 images (0 without objects), 8 objects of 4 classes, 2 crowd regions" in flat(out)
    assert "nothing is wrong" in out
    ids = segment_ids()
    ids[:10] = 77  # the sky, the upper part of the ball and of the cat
    Image.fromarray(id2rgb(ids)).save(paths.panoptic_root / "001.png")
    Image.new("RGB", (5, 5)).save(paths.image_root / "002.jpg")
    content = json.loads(paths.panoptic_json.read_text())
    content["annotations"][1]["segments_info"][0]["category_id"] = 999
    status, out, _ = run(paths.panoptic_json)
    assert status == 1
    for words in (
        "segment 9000001 (sky) has no pixels in the PNG file",
        "segment 65536 (ball) has 6 pixels, and its area is 36",
        "300 pixels of the PNG file are of segment 77, which segments_info has not",
        "002.jpg is 5x5 (width x height), and the record says 30x20",
    ):
        assert words in flat(out)
    text(paths.panoptic_json, json.dumps(content))
    assert "category_id 999" in flat(run(paths.panoptic_json)[1])
    assert "a COCO file has objects only" in flat("".join(run(paths.panoptic_json, "--fix", "out.json")[1:]))
    assert run(paths.panoptic_json, "--show", 1, "--output", "shown")[0] == 1
    assert len(list((tmp_path / "shown").iterdir())) == 1


def test_a_panoptic_file_without_its_folders(run, tmp_path):
    paths = write_panoptic(tmp_path / "coco")
    paths.panoptic_root.rename(tmp_path / "elsewhere")
    status, out, _ = run(paths.panoptic_json)
    assert status == 1
    assert "pass panoptic_root=" in flat(out)


def test_images_of_many_channels(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4096, (20, 30, 5)).astype(np.uint16)
    (tmp_path / "set").mkdir()
    np.save(tmp_path / "set/a.npy", pixels)
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 8], "area": 80, "iscrowd": 0}
    images = [{"id": 1, "file_name": "a.npy", "width": 30, "height": 20}]
    content = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "field"}]}
    text(tmp_path / "set/all.json", json.dumps(content))
    assert run("set/all.json", "--decode", "--show", 1)[0] == 0
    assert len(list((tmp_path / "shown").iterdir())) == 1
    (tmp_path / "set/a.npy").write_bytes((tmp_path / "set/a.npy").read_bytes()[:-9])
    assert run("set/all.json", "--decode")[0] == 1
