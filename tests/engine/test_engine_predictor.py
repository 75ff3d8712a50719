"""Predictor: images in every form, unreadable ones, odd sizes, names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lazycfg.checkpoint import save_weights
from lazycfg.data import ImageError, Metadata
from lazycfg.engine import Predictor, SettingsError
from lazycfg.engine.run_metadata import weights_metadata
from lazycfg.structures import Boxes, Instances

META = Metadata(thing_classes=("cat", "dog"), thing_colors=((255, 0, 0), (0, 255, 0)))


class Finder(nn.Module):
    """Finds one box, the left half of the image; its score says what color it saw first."""

    input_format = "RGB"

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, batch):
        outputs = []
        for sample in batch:
            height, width = sample["image"].shape[-2:]
            found = Instances((height, width), pred_boxes=Boxes(torch.tensor([[0.0, 0, width / 2, height]])))
            found.scores = sample["image"][0].float().mean()[None] / 255 * self.scale
            found.pred_classes = torch.tensor([1])
            outputs.append({"instances": found})
        return outputs


@pytest.fixture
def red():
    image = np.zeros((30, 40, 3), np.uint8)
    image[..., 0] = 255
    return image


@pytest.fixture
def predictor():
    return Predictor(Finder(), metadata=META, device="cpu")


def turned(path: Path, array):
    """A photo whose EXIF tag says that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(array).save(path, exif=exif)
    return path


def test_the_order_of_channels_is_obeyed(predictor, red):
    for image in (red, torch.from_numpy(red).permute(2, 0, 1)):
        assert predictor(image, channel_order="RGB").scores.item() == 1
        assert predictor(image, channel_order="BGR").scores.item() == 0
        with pytest.raises(ValueError, match="channel_order='BGR'"):
            predictor(image)
        with pytest.raises(ValueError, match="channel_order='BGR'"):
            predictor.draw(image, predictor(image, channel_order="RGB"))
    with pytest.raises(ValueError, match="expected 'RGB' or 'BGR'"):
        predictor(red, channel_order="rgb")
    with pytest.raises(ValueError, match="expected 'RGB' or 'BGR'"):
        Predictor(Finder(), channel_order="GBR")
    assert Predictor(Finder(), channel_order="BGR", device="cpu")(red).scores.item() == 0


def test_a_file_and_the_same_file_opened_are_the_same_image(predictor, red, tmp_path):
    file = turned(tmp_path / "x.jpg", red)
    by_file, opened, path = predictor([str(file), Image.open(file), file])
    assert by_file.image_size == opened.image_size == path.image_size == (40, 30)
    assert torch.equal(by_file.pred_boxes.tensor, opened.pred_boxes.tensor)
    assert np.array_equal(predictor.draw(file, by_file), predictor.draw(Image.open(file), opened))


def test_images_of_more_than_8_bits(tmp_path):
    from lazycfg.data import DatasetMapper

    values = np.full((4, 5), 65535, np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    Image.fromarray(np.full((4, 5), 2.0, np.float32)).save(tmp_path / "x.tiff")
    plain = Predictor(Finder(), device="cpu")
    for image in (tmp_path / "x.png", Image.open(tmp_path / "x.png")):
        assert plain(image).scores.item() == 1
    for image in (tmp_path / "x.tiff", Image.open(tmp_path / "x.tiff")):
        with pytest.raises(ImageError, match="value_range"):
            plain(image)
    mapper = DatasetMapper(is_train=False, image_format="RGB", value_range=(0.0, 4.0))
    ranged = Predictor(Finder(), mapper=mapper, device="cpu")
    for image in (tmp_path / "x.tiff", Image.open(tmp_path / "x.tiff")):
        assert ranged(image).scores.item() == pytest.approx(0.5, abs=0.01)
        assert ranged.draw(image, ranged(image)).shape[2] == 3


def test_one_unreadable_image_does_not_lose_the_others(predictor, red, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(red).save(good)
    bad.write_bytes(good.read_bytes()[:40])
    images = [good, bad, tmp_path / "none.png", tmp_path, red[:, :0], good]
    for batch_size in (1, 3, 10):
        predictor.batch_size = batch_size
        found = predictor(images, channel_order="RGB", on_error="return")
        kinds = [Instances, ImageError, FileNotFoundError, IsADirectoryError, ImageError, Instances]
        assert list(map(type, found)) == kinds
        assert "bad.png" in str(found[1])
        assert found[1].__notes__ == ["while preparing image 1 of the call (counted from 0)"]
        with pytest.raises(ImageError, match=r"bad\.png"):
            predictor(images)
    with pytest.raises(TypeError, match=r"could not be read.*bad\.png"):
        predictor.draw(bad, found[1])
    with pytest.raises(ValueError, match="'raise' or 'return'"):
        predictor(images, on_error="skip")
    assert isinstance(predictor(bad, on_error="return"), ImageError)


@pytest.mark.parametrize("images", [None, [None]])
def test_what_cv2_returns_for_a_missing_file_is_refused(predictor, images):
    with pytest.raises(TypeError, match=r"an image is a file, .* got NoneType \(cv2.imread returns None"):
        predictor(images, channel_order="BGR")


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 4000), (4000, 3)])
def test_odd_sizes(predictor, size):
    image = np.full((*size, 3), 128, np.uint8)
    found = predictor(image, channel_order="RGB")
    assert found.image_size == size
    assert predictor.draw(image, found, channel_order="RGB", scale=1).shape == image.shape


def test_names_come_with_the_weights(tmp_path, red, caplog):
    file = tmp_path / "w.safetensors"
    save_weights(Finder(), file, metadata=weights_metadata(META))
    named = Predictor(Finder(), weights=file, device="cpu", channel_order="RGB")
    assert named.metadata.thing_classes == ("cat", "dog")
    assert not caplog.records
    save_weights(Finder(), file)
    nameless = Predictor(Finder(), weights=file, device="cpu", channel_order="RGB")
    assert nameless.metadata is None
    assert "holds no class names" in caplog.text
    given = Predictor(Finder(), weights=file, metadata=META, device="cpu", channel_order="RGB")
    drawn = [each.draw(red, each(red)) for each in (named, nameless, given)]
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])


def test_weights_of_a_backbone_are_not_enough(tmp_path):
    from lazycfg.modeling import FPN, ResNet
    from lazycfg.modeling.backbone import BasicBlock, BasicStem

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            stem = BasicStem(in_channels=3, out_channels=4, norm="BN")
            stage = ResNet.make_stage(
                block_class=BasicBlock,
                num_blocks=1,
                stride_per_block=[1],
                in_channels=4,
                out_channels=4,
                norm="BN",
            )
            bottom_up = ResNet(stem=stem, stages=[stage], out_features=["res2"])
            self.backbone = FPN(bottom_up=bottom_up, in_features=["res2"], out_channels=4)

    save_weights(Detector().backbone.bottom_up, tmp_path / "resnet.safetensors")
    with pytest.raises(SettingsError, match="a part of the model only"):
        Predictor(Detector(), weights=tmp_path / "resnet.safetensors")
