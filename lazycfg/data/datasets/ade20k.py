"""ADE20K, the 150 classes of scene parsing (Zhou et al., arXiv:1608.05442)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from .label_maps import IGNORE
from .sem_seg import SemSegDataset

_NAMES = """
wall; building; sky; floor; tree; ceiling; road, route; bed; window; grass; cabinet; sidewalk, pavement;
person; earth, ground; door; table; mountain, mount; plant; curtain; chair; car; water; painting,
picture; sofa; shelf; house; sea; mirror; rug; field; armchair; seat; fence; desk; rock, stone; wardrobe,
closet, press; lamp; tub; rail; cushion; base, pedestal, stand; box; column, pillar; signboard, sign;
chest of drawers, chest, bureau, dresser; counter; sand; sink; skyscraper; fireplace; refrigerator,
icebox; grandstand, covered stand; path; stairs; runway; case, display case, showcase, vitrine; pool
table, billiard table, snooker table; pillow; screen door, screen; stairway, staircase; river; bridge,
span; bookcase; blind, screen; coffee table; toilet, can, commode, crapper, pot, potty, stool, throne;
flower; book; hill; bench; countertop; stove; palm, palm tree; kitchen island; computer; swivel chair;
boat; bar; arcade machine; hovel, hut, hutch, shack, shanty; bus; towel; light; truck; tower; chandelier;
awning, sunshade, sunblind; street lamp; booth; tv; plane; dirt track; clothes; pole; land, ground, soil;
bannister, banister, balustrade, balusters, handrail; escalator, moving staircase, moving stairway;
ottoman, pouf, pouffe, puff, hassock; bottle; buffet, counter, sideboard; poster, posting, placard,
notice, bill, card; stage; van; ship; fountain; conveyer belt, conveyor belt, conveyer, conveyor,
transporter; canopy; washer, automatic washer, washing machine; plaything, toy; pool; stool; barrel,
cask; basket, handbasket; falls; tent; bag; minibike, motorbike; cradle; oven; ball; food, solid food;
step, stair; tank, storage tank; trade name; microwave; pot; animal; bicycle; lake; dishwasher; screen;
blanket, cover; sculpture; hood, exhaust hood; sconce; vase; traffic light; tray; trash can; fan; pier;
crt screen; plate; monitor; bulletin board; shower; radiator; glass, drinking glass; clock; flag
"""
ADE20K_CLASSES = tuple(" ".join(name.split()) for name in _NAMES.split(";"))
"""Names of the 150 classes, in the order of the challenge's list."""

_FOLDERS = {"train": "training", "val": "validation"}


class ADE20KSemSeg(SemSegDataset):
    """Images of ADE20K (``ADEChallengeData2016``) with one of 150 classes for every pixel.

    The maps of ``annotations`` count classes from 1, 0 is unlabeled: the labels of a record are one less, and
    255 where there is none. Where the folder ``annotations_detectron2`` is there (``lazycfg prepare
    ade20k`` makes it), in which that has been done, its files are taken.

    Args:
        root: folder of ``images`` and ``annotations``.
        split: "train" or "val".
        name: for logs and reports.
        on_error, verify: see `SemSegDataset`.

    Attributes:
        metadata, problems, faults: see `SemSegDataset`.

    Raises:
        FileNotFoundError, AnnotationError: see `SemSegDataset`.
    """

    validated = True

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        split: Literal["train", "val"],
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify: bool = False,
    ) -> None:
        if split not in _FOLDERS:
            raise ValueError(f'ADE20KSemSeg: split must be "train" or "val", got {split!r}')
        folder = _FOLDERS[split]
        prepared = Path(root) / "annotations_detectron2" / folder
        super().__init__(
            image_root=Path(root) / "images" / folder,
            sem_seg_root=prepared if prepared.is_dir() else Path(root) / "annotations" / folder,
            stuff_classes=ADE20K_CLASSES,
            label_map=None if prepared.is_dir() else {0: IGNORE, **{n + 1: n for n in range(150)}},
            name=name or f"ade20k_sem_seg_{split}",
            on_error=on_error,
            verify=verify,
        )
