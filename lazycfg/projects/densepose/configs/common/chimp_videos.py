"""Videos of chimpanzees without annotations, on which a trained model is trained further (arXiv:2003.00080).

In `$DETECTRON2_DATASETS` there is expected `chimpnsee/cdna.eva.mpg.de/video_list.txt`, a list of videos of
Chimp&See, which start at that folder. They are read by PyAV: pip install av.
"""

import copy
from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import DatasetMapper
from lazycfg.data import transforms as T
from lazycfg.projects.densepose.bootstrapping import (
    BootstrappingTrainLoader,
    ChartPointSampler,
    InferenceBasedLoader,
    ScoreBasedFilter,
    SelectFrames,
    VideoKeyframeDataset,
)

_videos = "${oc.env:DETECTRON2_DATASETS,datasets}/chimpnsee/cdna.eva.mpg.de"


def train_on_videos(dataloader: Any, teacher: Any) -> None:
    """As many images as annotated ones are key frames of videos with the predictions of a teacher, which is
    built as `teacher` and begins with the weights that the training begins with."""
    train = dataloader.train
    train._target_ = BootstrappingTrainLoader
    train.ratios = [1.0]
    train.others = [
        L(InferenceBasedLoader)(
            teacher=copy.deepcopy(teacher),
            weights=ref("train.init_checkpoint"),
            frames=L(VideoKeyframeDataset)(
                files=f"{_videos}/video_list.txt",
                root=_videos,
                select=L(SelectFrames)(strategy="random_k", count=4),
            ),
            mapper=L(DatasetMapper)(
                is_train=False,
                augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
                image_format=ref("dataloader.train.mapper.image_format"),
            ),
            point_sampler=L(ChartPointSampler)(count_per_class=8, confidence=None),
            data_filter=L(ScoreBasedFilter)(min_score=0.8),
            masks=True,
            files_at_once=8,
            batch_size=1,
            num_workers=1,
            seed=ref("oc.select:train.seed,0"),
            on_error="skip",
        )
    ]
