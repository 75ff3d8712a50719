"""Tracks of CVAT: objects that are followed through the frames of a video, as the shapes of each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from ..coco_files import candidate_roots
from ..coco_validation import AnnotationError, Problem
from ..image_files import list_images

Gap = tuple[str, Problem]
_CORNERS = ("xtl", "ytl", "xbr", "ybr")


def frames_of(root: Element, xml_file: Path, image_root: Path | None) -> tuple[list[Element], list[Gap]]:
    """Return an <image> with the shapes of each frame, in the place of the <track>s of a file.

    A shape is in its own frame and in those up to the next of its track, unless it is "outside". Boxes
    between two shapes lie between them in proportion; other shapes are known in their own frames only.

    Args:
        root: of the file.
        xml_file: near which the frames are looked for.
        image_root: folder of the frames; None: looked for.

    Returns:
        the images; and which frames of which track lack their shape.

    Raises:
        AnnotationError: a track or its frames cannot be read.
    """
    tracks = root.findall("track")
    shown = [(track, sorted((_frame(shape), n, shape) for n, shape in enumerate(track))) for track in tracks]
    frames = _frames(root, [frame for _, shapes in shown for frame, _, _ in shapes])
    size = root.find("meta//original_size")
    names = _file_names(frames, xml_file, image_root)
    images = {}
    for frame in frames:
        images[frame] = Element("image", name=names[frame])
        for side in ("width", "height"):
            images[frame].set(side, (size is not None and size.findtext(side)) or "")
    gaps: list[Gap] = []
    for track, shapes in shown:
        where = f"track {track.get('id', '?')} ({track.get('label')!r})"
        lacking = []
        for frame, shape in _visible([(frame, shape) for frame, _, shape in shapes], frames):
            if shape is None:
                lacking.append(frame)
                continue
            if frame not in images:
                raise AnnotationError(f"{xml_file}: {where} has frame {frame}, which the task has not")
            images[frame].append(_with_label(shape, track))
        if lacking:
            text = (
                f"it has no shape in {len(lacking)} frames from {lacking[0]} to {lacking[-1]}, and only "
                "boxes are known between two frames: export it by CVAT, which writes all"
            )
            gaps.append((where, Problem("frames without a shape", text)))
    return list(images.values()), gaps


def _visible(
    shapes: Sequence[tuple[int, Element]], frames: Sequence[int]
) -> Iterator[tuple[int, Element | None]]:
    """Yield the frames in which an object is seen, and its shape; None where that is not known."""
    for place, (frame, shape) in enumerate(shapes):
        if shape.get("outside") == "1":
            continue
        yield frame, shape
        following = shapes[place + 1] if place + 1 < len(shapes) else None
        end = frames[-1] + 1 if following is None else following[0]
        for between in (f for f in frames if frame < f < end):
            if shape.tag != "box":
                yield between, None
            elif following is None or following[1].tag != "box":
                yield between, shape
            else:
                yield between, _box_between(shape, following[1], (between - frame) / (end - frame))


def _box_between(first: Element, second: Element, part: float) -> Element:
    """Return a box that has gone `part` of the way from one to another."""
    result = Element("box", first.attrib)
    try:
        for key in _CORNERS:
            start, end = float(first.get(key, "")), float(second.get(key, ""))
            result.set(key, repr(start + part * (end - start)))
        start, end = (float(box.get("rotation", "0")) for box in (first, second))
    except ValueError:  # told for the box itself
        return first
    turn = (end - start + 180) % 360 - 180
    result.set("rotation", repr(start + part * turn))
    return result


def _with_label(shape: Element, track: Element) -> Element:
    result = Element(shape.tag, {**shape.attrib, "label": track.get("label", "")})
    result.extend(shape)
    return result


def _frame(shape: Element) -> int:
    try:
        return int(shape.get("frame", ""))
    except ValueError:
        raise AnnotationError(
            f"a <{shape.tag}> of a <track> has the frame {shape.get('frame')!r}, expected a whole number"
        ) from None


def _frames(root: Element, used: Sequence[int]) -> list[int]:
    """Return the numbers of the frames of the task; of a file without them, those from the first to the last
    that has a shape.
    """
    said = [root.findtext(f"meta//{key}") for key in ("start_frame", "stop_frame")]
    step = re.fullmatch(r"\s*step=(\d+)\s*", root.findtext("meta//frame_filter") or "")
    if all(text is not None and text.strip().isdigit() for text in said):
        first, last = (int(text or 0) for text in said)
    elif used:
        first, last = min(used), max(used)
    else:
        return []
    return list(range(first, last + 1, max(1, int(step[1])) if step else 1))


def _file_names(frames: Sequence[int], xml_file: Path, image_root: Path | None) -> dict[int, str]:
    """Return the file of each frame, by the last number in its name; where there is none, CVAT's name."""
    roots = candidate_roots(xml_file) if image_root is None else [image_root]
    for root in roots:
        found = {}
        for path in list_images(root) if root.is_dir() else ():
            digits = re.findall(r"\d+", path.stem)
            if digits:
                found[int(digits[-1])] = path.relative_to(root).as_posix()
        if found.keys() & set(frames):
            ending = Path(next(iter(found.values()))).suffix
            return {frame: found.get(frame, f"frame_{frame:06}{ending}") for frame in frames}
    return {frame: f"frame_{frame:06}.png" for frame in frames}
