"""ResNet and its stages (He et al., arXiv:1512.03385)."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase, ShapeSpec
from lazycfg.utils.suggest import closest

from .backbone import Backbone
from .resnet_blocks import BasicBlock, BasicStem, BottleneckBlock

# blocks per stage of the standard depths
BLOCKS_PER_STAGE: Mapping[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class ResNet(Backbone):
    """A stem and stages of blocks, named "stem", "res2", "res3", ...; optionally a classifier ("linear").

    Args:
        stem: a built block.
        stages: the blocks of each stage, in order; see `make_stage` and `make_default_stages`.
        num_classes: adds average pooling and a linear classifier when given.
        out_features: names of the maps to return; the last one by default. Stages that no output needs are
            not kept.
        freeze_at: how many stages to freeze from the front, the stem being the first; 0 for none.
    """

    def __init__(
        self,
        stem: CNNBlockBase,
        stages: Sequence[Sequence[CNNBlockBase]],
        *,
        num_classes: int | None = None,
        out_features: Sequence[str] | None = None,
        freeze_at: int = 0,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.num_classes = num_classes
        names = [f"res{i + 2}" for i in range(len(stages))]
        if out_features is None:
            out_features = ["linear" if num_classes is not None else names[-1]]
        known = ["stem", *names, *(["linear"] if num_classes is not None else [])]
        for name in out_features:
            if name not in known:
                raise ValueError(
                    f"ResNet: no feature map {name!r}, expected some of {known}{closest(name, known)}"
                )
        if not out_features:
            raise ValueError(f"ResNet: out_features is empty, expected some of {known}")
        self._out_features = list(out_features)

        depth = max(len(names) if name == "linear" else known.index(name) for name in out_features)
        self.stage_names = tuple(names[:depth])
        stride, channels = stem.stride, stem.out_channels
        self._out_feature_strides = {"stem": stride}
        self._out_feature_channels = {"stem": channels}
        self.stages: list[nn.Sequential] = []
        for name, blocks in zip(self.stage_names, stages, strict=False):
            if not blocks:
                raise ValueError(f"ResNet: stage {name} has no blocks")
            for block in blocks:
                stride *= block.stride
            channels = blocks[-1].out_channels
            stage = nn.Sequential(*blocks)
            self.add_module(name, stage)
            self.stages.append(stage)
            self._out_feature_strides[name] = stride
            self._out_feature_channels[name] = channels
        if num_classes is not None:
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.linear = nn.Linear(channels, num_classes)
            nn.init.normal_(self.linear.weight, std=0.01)  # "Bag of Tricks", arXiv:1812.01187
        self.freeze(freeze_at)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> the maps of `out_features` by name."""
        if x.dim() != 4:
            raise ValueError(f"ResNet takes images (N, C, H, W), got shape {tuple(x.shape)}")
        outputs: dict[str, Tensor] = {}
        x = self.stem(x)
        if "stem" in self._out_features:
            outputs["stem"] = x
        for name in self.stage_names:
            x = getattr(self, name)(x)
            if name in self._out_features:
                outputs[name] = x
        if self.num_classes is not None and "linear" in self._out_features:
            outputs["linear"] = self.linear(self.avgpool(x).flatten(1))
        return outputs

    def output_shape(self) -> dict[str, ShapeSpec]:
        return {
            name: ShapeSpec(channels=self._out_feature_channels[name], stride=self._out_feature_strides[name])
            for name in self._out_features
            if name != "linear"
        }

    def freeze(self, freeze_at: int = 0) -> Self:
        """Freeze the first `freeze_at` stages (1: the stem, 2: stem and res2, ...); returns the network."""
        if freeze_at >= 1:
            self.stem.freeze()
        for index, name in enumerate(self.stage_names, start=2):
            if freeze_at >= index:
                for block in getattr(self, name).children():
                    block.freeze()
        return self

    @staticmethod
    def make_stage(
        block_class: type[CNNBlockBase],
        num_blocks: int,
        *,
        in_channels: int,
        out_channels: int,
        **kwargs: Any,
    ) -> list[CNNBlockBase]:
        """The blocks of one stage; only the first one changes the number of channels.

        Args:
            block_class: called as ``block_class(in_channels=, out_channels=, **kwargs)``.
            num_blocks: how many.
            kwargs: for every block; one that ends in ``_per_block`` is a list with a value for each, e.g.
                ``stride_per_block=[2, 1, 1]``.
        """
        per_block: dict[str, Sequence[Any]] = {}
        for name in [name for name in kwargs if name.endswith("_per_block")]:
            values = kwargs.pop(name)
            single = name.removesuffix("_per_block")
            if len(values) != num_blocks:
                raise ValueError(f"make_stage: {name} has {len(values)} values for {num_blocks} blocks")
            if single in kwargs:
                raise ValueError(f"make_stage: both {single} and {name} are given")
            per_block[single] = values
        blocks = []
        for i in range(num_blocks):
            own = {name: values[i] for name, values in per_block.items()}
            blocks.append(block_class(in_channels=in_channels, out_channels=out_channels, **kwargs, **own))
            in_channels = out_channels
        return blocks

    @staticmethod
    def make_default_stages(
        depth: int, block_class: type[CNNBlockBase] | None = None, **kwargs: Any
    ) -> list[list[CNNBlockBase]]:
        """The stages res2 to res5 of a standard ResNet.

        Args:
            depth: 18, 34, 50, 101 or 152.
            block_class: by default `BasicBlock` below depth 50, else `BottleneckBlock`.
            kwargs: for `make_stage`; the strides and channels are set here.
        """
        if depth not in BLOCKS_PER_STAGE:
            raise ValueError(
                f"no standard ResNet has depth {depth}, expected one of {list(BLOCKS_PER_STAGE)}"
            )
        if block_class is None:
            block_class = BasicBlock if depth < 50 else BottleneckBlock
        if depth < 50:
            in_channels, out_channels = [64, 64, 128, 256], [64, 128, 256, 512]
        else:
            in_channels, out_channels = [64, 256, 512, 1024], [256, 512, 1024, 2048]
        stages = []
        for index, num_blocks in enumerate(BLOCKS_PER_STAGE[depth]):
            own = dict(kwargs)
            if depth >= 50:
                own["bottleneck_channels"] = out_channels[index] // 4
            stages.append(
                ResNet.make_stage(
                    block_class,
                    num_blocks,
                    stride_per_block=[1 if index == 0 else 2] + [1] * (num_blocks - 1),
                    in_channels=in_channels[index],
                    out_channels=out_channels[index],
                    **own,
                )
            )
        return stages


__all__ = ["BasicBlock", "BasicStem", "BottleneckBlock", "ResNet"]
