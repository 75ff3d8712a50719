"""Draw figures: images, and for each pixel the figure, the part and its place in the chart."""

import colorsys
from dataclasses import dataclass

import numpy as np

from .body import SEGMENTS, Segment

__all__ = ["Seen", "draw_figures"]

HEIGHT = 1.9
"""From head to foot, metres, in the canonical pose."""
ROUND = 3.0
"""How round the corners of segments are: the power of a superellipse."""


@dataclass(frozen=True)
class Seen:
    """What each pixel (H, W) shows: the number of the figure, -1 for none; its part; u and v."""

    figure: np.ndarray
    part: np.ndarray
    u: np.ndarray
    v: np.ndarray


def draw_figures(rng: np.random.Generator, side: int, count: int) -> tuple[np.ndarray, Seen]:
    """Draw figures in a square image (side, side, 3), from the front or from behind, each over the ones
    before.

    Returns:
        (side, side, 3) uint8, RGB, and what its pixels show.
    """
    image = _background(rng, side)
    seen = Seen(
        np.full((side, side), -1), np.zeros((side, side), dtype=np.int64),
        np.zeros((side, side)), np.zeros((side, side)),
    )  # fmt: skip
    for number in range(count):
        _draw(rng, image, seen, number, count)
    image += rng.normal(scale=4, size=image.shape)
    return image.clip(0, 255).round().astype(np.uint8), seen


def _background(rng: np.random.Generator, side: int) -> np.ndarray:
    ramp = np.linspace(0, 1, side)[:, None, None]
    top, bottom = rng.uniform(30, 220, size=(2, 3))
    image = np.broadcast_to(top + ramp * (bottom - top), (side, side, 3)).copy()
    for _ in range(rng.integers(1, 5)):  # boxes, in which nobody is
        x, y = rng.integers(0, side, size=2)
        w, h = rng.integers(side // 16, side // 3, size=2)
        image[y : y + h, x : x + w] = rng.uniform(20, 235, size=3)
    return image


def _draw(rng: np.random.Generator, image: np.ndarray, seen: Seen, number: int, count: int) -> None:
    side = len(image)
    front = bool(rng.random() < 0.5)
    scale = side * (rng.uniform(0.65, 0.9) if count == 1 else rng.uniform(0.55, 0.75)) / HEIGHT
    middle = (number + 0.5) / count + rng.uniform(-0.1, 0.1)  # side by side, arms may overlap
    place = np.array([middle, rng.uniform(0.42, 0.55)]) * side
    to_image = _turn(np.radians(rng.normal(scale=8)))
    to_image = _move(*place) @ np.diag([scale if front else -scale, scale, 1.0]) @ to_image
    poses = _pose(rng)
    colors = _clothes(rng)
    y, x = np.mgrid[:side, :side] + 0.5
    pixels = np.stack((x.ravel(), y.ravel(), np.ones(side * side)))
    for segment in SEGMENTS:
        local = np.linalg.inv(to_image @ poses[segment.name]) @ pixels
        low, high = segment.local
        u = ((local[0] - low) / (high - low)).reshape(side, side)
        v = (local[1] / segment.height).reshape(side, side)
        inside = np.abs(2 * u - 1) ** ROUND + np.abs(2 * v - 1) ** ROUND <= 1
        if "head" in segment.name:  # both halves make one round head
            across = (local[0] / segment.width).reshape(side, side)
            inside = (u >= 0) & (u <= 1) & (across**2 + (2 * v - 1) ** 2 <= 1)
        image[inside] = _paint(segment, front, colors, u[inside], v[inside])
        seen.figure[inside] = number
        seen.part[inside] = segment.front if front else segment.back
        seen.u[inside] = u[inside]
        seen.v[inside] = v[inside]


def _pose(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return for each segment the matrix (3, 3) from its own coordinates, the joint at the origin, to the
    body's.
    """
    angles: dict[str, float] = {}
    for side, sign in (("right", 1), ("left", -1)):
        angles[f"{side} upper leg"] = sign * rng.uniform(-2, 25)
        angles[f"{side} lower leg"] = sign * rng.uniform(-15, 10)
        angles[f"{side} upper arm"] = sign * rng.uniform(10, 110)
        angles[f"{side} lower arm"] = sign * rng.uniform(-30, 80)
        angles[f"{side} hand"] = sign * rng.uniform(-20, 20)
    lean = rng.uniform(-12, 12)
    angles["right head"] = angles["left head"] = lean
    made: dict[str, np.ndarray] = {"": np.eye(3)}
    for segment in SEGMENTS:
        turned = _turn(np.radians(angles.get(segment.name, 0.0)))
        made[segment.name] = made[segment.parent] @ _move(*segment.joint) @ turned
    return made


def _turn(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _move(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def _clothes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    def color(low: float, high: float, hue: float | None = None) -> np.ndarray:
        hue = rng.random() if hue is None else hue
        return 255 * np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.45, 0.9), rng.uniform(low, high)))

    skin = color(0.55, 0.95, rng.uniform(0.05, 0.09))
    shirt, trousers = color(0.6, 1.0), color(0.3, 0.8)
    return {
        "skin": skin,
        "shirt": shirt,
        "trousers": trousers,
        "shoes": color(0.1, 0.4),
        "hair": color(0.1, 0.5),
    }


def _paint(
    segment: Segment, front: bool, colors: dict[str, np.ndarray], u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Return the colours (P, 3) of places of a segment."""
    kind = "shirt"
    if any(word in segment.name for word in ("head", "hand", "lower arm")):
        kind = "skin"
    elif "leg" in segment.name:
        kind = "trousers"
    elif "foot" in segment.name:
        kind = "shoes"
    paint = np.broadcast_to(colors[kind], (len(u), 3)).copy()
    if "head" in segment.name:
        paint[(v < 0.3) | (not front)] = colors["hair"]
        middle = 0.55 if segment.left == 1 else 0.45
        paint[front & (np.abs(u - middle) < 0.18) & (np.abs(v - 0.5) < 0.08)] = 25
    if segment.name == "torso" and front:
        paint[np.abs(u - 0.5) < 0.08] *= 0.45  # buttons
    if kind == "trousers" and front:
        paint[np.abs(u - 0.5) < 0.1] *= 0.7  # a crease
    return paint * (0.7 + 0.5 * (1 - np.abs(2 * u - 1)) * (1.1 - 0.4 * v))[:, None]
