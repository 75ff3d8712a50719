"""`lazycfg predict` on videos and cameras."""

import csv
import json
import os
import re
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_cli_predict import make_run, picture

from lazycfg import LazyCall as L
from lazycfg.cli.main import main
from lazycfg.utils.video import VideoError, VideoReader, VideoWriter

HERE = Path(__file__).parent
av = pytest.importorskip("av")


def frames(count=8):
    """A red square that moves to the right, and a blue one that is there from the fourth frame on."""
    for t in range(count):
        blue = (80, 40, 110, 70) if t >= 3 else None
        yield picture(red=(4 * t, 10, 4 * t + 30, 40), blue=blue)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)
    from toy_detector import ToyDetector

    make_run(tmp_path / "run", L(ToyDetector)(classes=2))
    with VideoWriter("clip.mp4", rate=10) as writer:
        for number, image in enumerate(frames()):
            writer.write(image, number / 10)
    return tmp_path


@pytest.fixture
def predict(place, capsys):
    def call(*words):
        status = main(["predict", "run", "--trusted", "--device", "cpu", "--threshold", "0.2", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_frames_tracks_and_the_video_drawn(predict):
    status, out, err = predict("--video", "clip.mp4", "--batch-size", "3")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "clip.mp4: 8 frames, 13 objects in 2 tracks"
    found = json.loads(Path("predictions/clip_predictions.json").read_text())
    red = [each for each in found if each["category_id"] == 3]
    assert [each["image_id"] for each in red] == list(range(1, 9))
    assert {each["track_id"] for each in red} == {0}
    assert [each["bbox"][0] for each in red] == pytest.approx([4 * t for t in range(8)], abs=2)
    assert {each["track_id"] for each in found if each["category_id"] == 8} == {1}
    images = json.loads(Path("predictions/clip_images.json").read_text())["images"]
    assert images[3] == {
        "id": 4, "file_name": "clip.mp4", "width": 120, "height": 80, "frame": 4, "time": 0.3,
    }  # fmt: skip
    with open("predictions/clip_predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[-1]["frame"], rows[-1]["time"], rows[-1]["track"]) == ("8", "0.7", "1")
    drawn = list(VideoReader("predictions/clip.mp4"))
    assert [time for _, time in drawn] == pytest.approx([t / 10 for t in range(8)])
    height, width = drawn[0][0].shape[:2]
    assert (height, width) == (400, 600)  # a small one is enlarged, so that labels can be read
    assert VideoReader("predictions/clip.mp4").rate == 10


def test_by_its_ending_beside_images_without_tracks(predict):
    from PIL import Image

    Image.fromarray(picture(red=(1, 2, 30, 40))).save("a.png")
    status, out, _ = predict("clip.mp4", "a.png", "--track", "none", "--no-images", "-o", "out")
    assert status == 0
    assert "clip.mp4: 8 frames, 13 objects\n" in out
    assert {path.name for path in Path("out").iterdir()} == {
        "predictions.json", "predictions.csv", "images.json",
        "clip_predictions.json", "clip_predictions.csv", "clip_images.json",
    }  # fmt: skip
    header = Path("out/clip_predictions.csv").read_text().partition("\n")[0]
    assert header == "image,frame,time,class,name,score,x1,y1,x2,y2"


def test_a_video_in_which_nothing_is_found(predict):
    with VideoWriter("grey.mp4") as writer:
        writer.write(picture(size=(81, 121)), 0.0)
    assert "grey.mp4: 1 frame, 0 objects in 0 tracks" in predict("grey.mp4")[1]
    header = Path("predictions/grey_predictions.csv").read_text()
    assert header == "image,frame,time,track,class,name,score,x1,y1,x2,y2\n"


def test_a_video_that_cannot_be_read_leaves_nothing(predict):
    content = Path("clip.mp4").read_bytes()
    Path("cut.mp4").write_bytes(content[: len(content) // 2])
    Path("text.mp4").write_text("no video")
    status, out, err = predict("cut.mp4", "text.mp4", "gone.mp4", "clip.mp4")
    assert status == 1
    assert "lazycfg: cut.mp4: cannot be read as a video" in err
    assert "lazycfg: text.mp4: cannot be read as a video" in err
    assert "lazycfg: no such video: 'gone.mp4'" in err
    assert "clip.mp4: 8 frames" in out
    assert {path.stem.partition("_")[0] for path in Path("predictions").iterdir()} == {"clip"}


def test_ctrl_c_leaves_nothing_of_the_video(predict, monkeypatch):
    from toy_detector import ToyDetector

    calls = []

    def find(self, sample):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(self, sample)

    original = ToyDetector.find
    monkeypatch.setattr(ToyDetector, "find", find)
    status, _, err = predict("clip.mp4")
    assert status == 130
    assert "interrupted: nothing is written of clip.mp4" in err
    assert os.listdir("predictions") == []


def test_without_pyav(predict, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    status, _, err = predict("clip.mp4")
    assert status == 2
    assert "videos are read by PyAV: pip install 'lazycfg[video]'" in err


def test_times_of_frames_are_kept(tmp_path):
    times = [0, 0.04, 0.1, 0.5]
    with VideoWriter(tmp_path / "v.mp4", rate=25) as writer:
        for time, image in zip(times, frames(4), strict=True):
            writer.write(image, time)
    assert [time for _, time in VideoReader(tmp_path / "v.mp4")] == pytest.approx(times)


def test_a_video_of_a_phone_is_upright(tmp_path):
    path = tmp_path / "v.mp4"
    with VideoWriter(path) as writer:
        writer.write(picture(red=(0, 0, 40, 40)), 0.0)
    # The matrix in the header of the track, as a phone writes it: show it turned by 90 degrees clockwise
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    content[start : start + 20] = struct.pack(">5i", 0, 1 << 16, 0, -1 << 16, 0)
    path.write_bytes(content)
    ((image, _),) = VideoReader(path)
    assert image.shape == (120, 80, 3)
    assert image[20, 60].tolist() == pytest.approx([250, 20, 20], abs=12)  # it was upper left


def test_a_file_without_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="there is no video in it"):
        VideoReader(path)


class Camera:
    """A camera of OpenCV that shows some frames, or none at all."""

    error = RuntimeError
    WND_PROP_VISIBLE = 4

    def __init__(self, count):
        self.images = [image[:, :, ::-1] for image in frames(count)]
        self.shown, self.released = [], False
        self.module = SimpleNamespace(
            VideoCapture=lambda number: self,
            imshow=lambda title, image: self.shown.append(image),
            waitKey=lambda ms: ord("q") if len(self.shown) == 6 else 255,
            getWindowProperty=lambda *_: 1.0,
            destroyAllWindows=lambda: None,
            WND_PROP_VISIBLE=4,
            error=RuntimeError,
        )

    def isOpened(self):
        return bool(self.images)

    def read(self):
        return (True, self.images.pop(0)) if self.images else (False, None)

    def release(self):
        self.released = True


def test_a_camera(predict, monkeypatch):
    camera = Camera(8)
    monkeypatch.setitem(sys.modules, "cv2", camera.module)
    status, out, _ = predict("--webcam")
    assert (status, out) == (0, "6 frames\n")
    assert camera.released
    assert camera.shown[0].shape == (400, 600, 3)
    assert camera.shown[0][380, 580].tolist() == [90, 90, 90]
    assert not Path("predictions").exists()
    monkeypatch.setitem(sys.modules, "cv2", Camera(4).module)
    assert predict("--webcam", "1", "-o", "out")[0] == 0
    assert len(list(VideoReader("out/webcam.mp4"))) == 4


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (None, "--webcam needs OpenCV: pip install opencv-python"),
        (Camera(0).module, "--webcam 0: there is no such camera"),
    ],
)
def test_no_camera(predict, monkeypatch, module, said):
    monkeypatch.setitem(sys.modules, "cv2", module)
    status, _, err = predict("--webcam")
    assert status == 2
    assert said in err


def test_a_camera_without_windows(predict, monkeypatch):
    camera = Camera(3)

    def no_window(title, image):
        raise RuntimeError("The function is not implemented.")

    camera.module.imshow = no_window
    monkeypatch.setitem(sys.modules, "cv2", camera.module)
    status, _, err = predict("--webcam", "-o", "out")
    assert status == 2
    assert "which this OpenCV cannot" in err
    assert camera.released
    assert not list(Path("out").iterdir())


def test_a_camera_that_gives_nothing(predict, monkeypatch):
    camera = Camera(1)
    camera.module.VideoCapture = lambda number: SimpleNamespace(
        isOpened=lambda: True, read=lambda: (False, None), release=lambda: None
    )
    monkeypatch.setitem(sys.modules, "cv2", camera.module)
    status, _, err = predict("--webcam", "-o", "out")
    assert status == 2
    assert "--webcam 0: the camera gave no image" in err
    assert not list(Path("out").iterdir())


def test_a_camera_below_zero(predict):
    status, _, err = predict("--webcam", "-1")
    assert status == 2
    assert "--webcam -1: cameras count from 0" in err


@pytest.fixture
def film(place, monkeypatch):
    """OpenCV itself, whose camera shows a test pattern of FFmpeg in which a red square goes to the right."""
    cv2 = pytest.importorskip("cv2")
    try:
        graph = "color=0x5a5a5a:size=120x80:rate=10:duration=0.8[a];color=0xfa1414:size=30x30:rate=10[b];"
        source = av.open(f"{graph}[a][b]overlay=x=40*t:y=10:shortest=1", format="lavfi")
    except av.error.FFmpegError:
        pytest.skip("this PyAV has no virtual devices")
    with source, VideoWriter("camera.mp4", rate=10) as writer:
        for frame in source.decode(video=0):
            writer.write(frame.to_ndarray(format="rgb24"), frame.time)
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: capture("camera.mp4"))
    return cv2


def test_a_film_in_the_place_of_a_camera(predict, film, monkeypatch):
    shown = []
    monkeypatch.setattr(film, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(film, "waitKey", lambda ms: 255)
    monkeypatch.setattr(film, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(film, "destroyAllWindows", lambda: None)
    status, out, err = predict("--webcam", "-o", "out")
    assert (status, err) == (0, "")
    assert out == "8 frames\nwrote out/webcam.mp4\n"
    assert len(shown) == 8
    # Red is told from blue: in OpenCV's order the red channel is the last
    assert shown[0][120, 75].tolist() == pytest.approx([20, 20, 250], abs=60)
    images = [image for image, _ in VideoReader("out/webcam.mp4")]
    assert len(images) == 8
    assert images[0].shape == shown[0].shape
    assert images[0][120, 75, 0] > 150


def test_a_film_without_windows(predict, film):
    if "NONE" not in next(line for line in film.getBuildInformation().splitlines() if "GUI:" in line):
        pytest.skip("this OpenCV has windows")
    status, _, err = predict("--webcam", "-o", "out")
    assert status == 2
    assert "--webcam shows a window, which this OpenCV cannot" in err
    assert "destroyAllWindows" not in err
    assert not list(Path("out").iterdir())


def test_a_video_is_not_replaced_by_its_drawing(predict):
    before = Path("clip.mp4").read_bytes()
    status, _, err = predict("clip.mp4", "-o", ".", "--overwrite")
    assert status == 2
    assert "clip.mp4 would be replaced by what is found in it" in err
    assert Path("clip.mp4").read_bytes() == before


def test_a_video_that_was_cut_off_is_told(predict):
    with av.open("long.mkv", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 120, 80, "yuv420p"
        for image in list(frames()) * 10:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = Path("long.mkv").read_bytes()
    Path("cut.mkv").write_bytes(content[: len(content) // 2])
    status, _, err = predict("long.mkv", "-o", "whole")
    assert (status, err) == (0, "")
    status, out, err = predict("cut.mkv")
    assert status == 0
    assert re.search(
        r"note: cut.mkv ends after [1-6]\.\d of the 8\.0 seconds that it says it has: was it cut off", err
    )
    assert "wrote predictions/cut.mp4" in out


def test_a_video_of_which_nothing_would_be_written(place, capsys):
    from toy_detector import ToySegmenter

    make_run(place / "segmenter", L(ToySegmenter)(classes=2))
    words = ["predict", "segmenter", "--trusted", "--device", "cpu", "clip.mp4"]
    assert main([*words, "--no-images"]) == 2
    assert "clip.mp4: what this model gives of a video (sem_seg) is only drawn" in capsys.readouterr().err
    assert main(words) == 0
    assert Path("predictions/clip.mp4").is_file()


def test_frames_of_two_sizes(predict):
    parts = []
    for number, size in enumerate(((80, 120), (40, 60))):
        with av.open(f"{number}.ts", "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            for image in frames():
                image = np.ascontiguousarray(image[: size[0], : size[1]])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        parts.append(Path(f"{number}.ts").read_bytes())
    Path("both.ts").write_bytes(b"".join(parts))
    status, _, err = predict("--video", "both.ts")
    assert status == 1
    assert "both.ts: its frames are 120x80 at first and 60x40 later on: give them one size" in err
    assert not [path for path in Path("predictions").rglob("*") if path.is_file()]
