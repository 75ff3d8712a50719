"""ResNet and its stages (He et al., arXiv:1512.03385)."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase, ShapeSpec
from lazycfg.utils.suggest import closest

from .backbone import Backbone
from .resnet_blocks import BasicBlock, BasicStem, BottleneckBlock, DeepLabStem, DeformBottleneckBlock

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
        """Images (N, C, H, W) -> the maps of `out_features` by name.

        Raises:
            ValueError: the images are not (N, C, H, W).
        """
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
        """Return channels and stride of each map of `out_features`."""
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
        """Return the blocks of one stage; only the first one changes the number of channels.

        Args:
            block_class: called as ``block_class(in_channels=, out_channels=, **kwargs)``.
            num_blocks: how many.
            kwargs: for every block; one that ends in ``_per_block`` is a list with a value for each, e.g.
                ``stride_per_block=[2, 1, 1]``.

        Raises:
            ValueError: a list of arguments, one for each block, has another length than `num_blocks`.
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
        depth: int,
        block_class: type[CNNBlockBase] | None = None,
        *,
        width_per_group: int = 64,
        stem_channels: int = 64,
        res4_dilation: int = 1,
        res5_dilation: int = 1,
        res5_multi_grid: Sequence[int] = (1, 1, 1),
        deform_on_per_stage: Sequence[bool] = (False, False, False, False),
        **kwargs: Any,
    ) -> list[list[CNNBlockBase]]:
        """Return the stages res2 to res5 of a standard ResNet.

        Args:
            depth: 18, 34, 50, 101 or 152.
            block_class: by default `BasicBlock` below depth 50, else `BottleneckBlock`.
            width_per_group: channels of each group of the 3x3 convolutions in res2, doubled from stage to
                stage; ResNeXt-101 32x8d is ``depth=101, num_groups=32, width_per_group=8``.
            stem_channels: output channels of the stem.
            res4_dilation: 2 to dilate res4 instead of halving the resolution; `res5_dilation` must be 4 then.
            res5_dilation: 2 or 4 to dilate the last stage instead of halving the resolution ("DC5").
            res5_multi_grid: factors of the dilation of each block of the last stage (DeepLab v3,
                arXiv:1706.05587).
            deform_on_per_stage: which stages are of `DeformBottleneckBlock`.
            kwargs: for `make_stage`; the strides and channels are set here. Those whose name begins with
                ``deform_`` are for the deformable stages only.

        Raises:
            ValueError: there is no such ResNet.
        """
        if depth not in BLOCKS_PER_STAGE:
            raise ValueError(
                f"no standard ResNet has depth {depth}, expected one of {list(BLOCKS_PER_STAGE)}"
            )
        bottleneck = depth >= 50
        dilated = (res4_dilation, res5_dilation, *res5_multi_grid)
        if not bottleneck and (width_per_group != 64 or set(dilated) != {1} or any(deform_on_per_stage)):
            raise ValueError(
                f"width_per_group, dilations and deform_on_per_stage are for depths from 50, not {depth}"
            )
        if (res4_dilation, res5_dilation) not in ((1, 1), (1, 2), (1, 4), (2, 4)):
            raise ValueError(
                "res4_dilation must be 1 or 2 (with res5_dilation 4), and res5_dilation 1, 2 or 4, got "
                f"res4_dilation={res4_dilation} and res5_dilation={res5_dilation}"
            )
        if len(deform_on_per_stage) != 4:
            raise ValueError(f"deform_on_per_stage needs 4 values, got {list(deform_on_per_stage)}")
        plain_class = block_class or (BottleneckBlock if bottleneck else BasicBlock)
        plain = {name: value for name, value in kwargs.items() if not name.startswith("deform_")}
        stages = []
        in_channels = stem_channels
        for index, num_blocks in enumerate(BLOCKS_PER_STAGE[depth]):
            deform = deform_on_per_stage[index]
            out_channels = (256 if bottleneck else 64) * 2**index
            own = dict(kwargs if deform else plain)
            if bottleneck:
                own["bottleneck_channels"] = own.get("num_groups", 1) * width_per_group * 2**index
            dilation = (1, 1, res4_dilation, res5_dilation)[index]
            if index == 3 and set(res5_multi_grid) != {1}:
                own["dilation_per_block"] = [dilation * factor for factor in res5_multi_grid]
            elif dilation > 1:
                own["dilation"] = dilation
            stages.append(
                ResNet.make_stage(
                    DeformBottleneckBlock if deform else plain_class,
                    num_blocks,
                    stride_per_block=[1 if index == 0 or dilation > 1 else 2] + [1] * (num_blocks - 1),
                    in_channels=in_channels,
                    out_channels=out_channels,
                    **own,
                )
            )
            in_channels = out_channels
        return stages


__all__ = ["BasicBlock", "BasicStem", "BottleneckBlock", "DeepLabStem", "ResNet"]
