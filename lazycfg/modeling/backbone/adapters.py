"""Networks of torchvision, timm and mmdetection with the face of a `Backbone`."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchvision.models import convnext_tiny, mobilenet_v3_large
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from lazycfg.layers import FrozenBatchNorm2d, ShapeSpec
from lazycfg.utils.suggest import closest

from .backbone import Backbone


class TorchvisionBackbone(Backbone):
    """Any model of `torchvision.models`, or another one that `torch.fx` can trace, as a backbone.

        TorchvisionBackbone(
            model=torchvision.models.resnet50(norm_layer=FrozenBatchNorm2d),
            out_features={"layer1": "res2", "layer2": "res3", "layer3": "res4", "layer4": "res5"},
        )

    Layers after the last map are left out; what remains keeps its names, below ``model.``. Channels and
    strides are measured by a forward on the meta device, which costs no arithmetic.

    Args:
        model: the built model.
        out_features: what to return: name of a module (or node of the traced graph) -> name of its map.
            A sequence returns the maps under the modules' own names.
        in_chans: channels of the images.
        probe_size: side in pixels of the image that shapes are measured with. A model that takes one size
            only needs that size.

    Raises:
        ValueError: a name that the model does not have, or an output that is no map.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        out_features: Mapping[str, str] | Sequence[str],
        in_chans: int = 3,
        probe_size: int = 224,
    ) -> None:
        super().__init__()
        nodes = _by_name(out_features)
        # modules of ours are called, not traced into: they may decide by what they are given
        own = {type(module) for module in model.modules() if type(module).__module__.startswith("lazycfg.")}
        tracing = {"leaf_modules": list(own)}
        known = _prefixes(get_graph_node_names(model, tracer_kwargs=tracing)[1])
        for name in nodes:
            if name not in known:
                raise ValueError(f"{type(model).__name__} has no module {name!r}{closest(name, known)}")
        self.model = create_feature_extractor(model, return_nodes=nodes, tracer_kwargs=tracing)
        self._out_features = list(nodes.values())
        self._out_feature_channels = {}
        self._out_feature_strides = {}
        self._channels_last = set()
        for name, shape in _measure(self.model, in_chans, probe_size).items():
            if len(shape) != 4:
                raise ValueError(
                    f"{name!r} is no feature map: its shape is {tuple(shape)}, not of 4 dimensions"
                )
            # of (1, C, H, W) and (1, H, W, C), the sides of a square image are the equal two
            channels, height = shape[1], shape[2]
            if shape[1] == shape[2] != shape[3]:
                channels, height = shape[3], shape[1]
                self._channels_last.add(name)
            self._out_feature_channels[name] = channels
            self._out_feature_strides[name] = 2 ** round(math.log2(probe_size / height))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> maps by name, each (N, channels, about H / stride, about W / stride)."""
        maps = self.model(x)
        return {k: m.permute(0, 3, 1, 2) if k in self._channels_last else m for k, m in maps.items()}


TrunkName = Literal["mobilenet_v3_large", "convnext_tiny"]


class TorchvisionTrunk(TorchvisionBackbone):
    """One of two networks of torchvision by its name, giving the maps `res2` to `res5`.

    Nothing is handed in that would be traced, so the saved config of a run may name it like any other part.

    Args:
        name: `mobilenet_v3_large` (arXiv:1905.02244; its batch normalization is frozen) or `convnext_tiny`
            (arXiv:2201.03545).

    Raises:
        ValueError: another name.
    """

    def __init__(self, *, name: TrunkName) -> None:
        if name == "mobilenet_v3_large":
            model: nn.Module = mobilenet_v3_large(norm_layer=partial(FrozenBatchNorm2d, eps=1e-3))
            nodes = (3, 6, 12, 16)
        elif name == "convnext_tiny":
            model, nodes = convnext_tiny(), (1, 3, 5, 7)
        else:
            raise ValueError(
                f"name is {name!r}, expected one of {', '.join(get_args(TrunkName))}; "
                "TorchvisionBackbone takes any other network"
            )
        maps = ("res2", "res3", "res4", "res5")
        super().__init__(
            model=model,
            out_features={f"features.{node}": key for node, key in zip(nodes, maps, strict=True)},
        )


class TimmBackbone(Backbone):
    """Any model of timm made with ``features_only=True``, as a backbone.

        TimmBackbone(model=timm.create_model("convnext_tiny", features_only=True, out_indices=(0, 1, 2, 3)))

    Needs the package timm (``pip install lazycfg[timm]``).

    Args:
        model: the built model.
        out_features: names of its maps, finest first; by default "res<log2(stride)>": "res2" has stride 4.

    Raises:
        TypeError: the model was not made with ``features_only=True``.
        ValueError: too many or too few names, or maps of equal stride without names.
    """

    def __init__(self, *, model: nn.Module, out_features: Sequence[str] | None = None) -> None:
        super().__init__()
        info = getattr(model, "feature_info", None)
        if not callable(getattr(info, "reduction", None)):
            raise TypeError(
                f"{type(model).__name__} does not tell its feature maps; make it with "
                "timm.create_model(..., features_only=True)"
            )
        channels, strides = list(info.channels()), list(info.reduction())
        names = (
            list(out_features) if out_features is not None else [f"res{int(math.log2(s))}" for s in strides]
        )
        if len(names) != len(channels) or len(set(names)) != len(names):
            raise ValueError(
                f"the model has {len(channels)} maps of strides {strides}; out_features must name each "
                f"differently, got {names}"
            )
        self.model = model
        self._nhwc = str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC")
        self._out_features = names
        self._out_feature_channels = dict(zip(names, channels, strict=True))
        self._out_feature_strides = dict(zip(names, strides, strict=True))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> maps by name, each (N, channels, about H / stride, about W / stride)."""
        maps = self.model(x)
        if self._nhwc:
            maps = [m.permute(0, 3, 1, 2) for m in maps]
        return dict(zip(self._out_features, maps, strict=True))


class MMDetBackbone(Backbone):
    """A backbone of mmdetection, with or without a neck, as a backbone.

    Takes anything whose forward returns maps as a tuple (or as a dict).

    Args:
        backbone: the built network, images (N, C, H, W) -> maps.
        neck: a built network on the tuple of these maps.
        output_shapes: of the maps that come out, in order; their strides must be given.
        output_names: names of the maps; "out0", "out1", ... by default.
        size_divisibility: what the sides of images are padded to multiples of.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        neck: nn.Module | None = None,
        output_shapes: Sequence[ShapeSpec],
        output_names: Sequence[str] | None = None,
        size_divisibility: int = 0,
    ) -> None:
        super().__init__()
        names = [f"out{i}" for i in range(len(output_shapes))] if output_names is None else list(output_names)
        if len(names) != len(output_shapes) or len(set(names)) != len(names):
            raise ValueError(
                f"{len(output_shapes)} output_shapes need as many output_names, each different; got {names}"
            )
        for name, spec in zip(names, output_shapes, strict=True):
            if spec.channels is None or spec.stride is None:
                raise ValueError(f"the output shape of {name!r} needs channels and a stride, got {spec}")
        self.backbone = backbone
        self.neck = neck
        self._out_features = names
        self._out_feature_channels = {n: s.channels for n, s in zip(names, output_shapes, strict=True)}
        self._out_feature_strides = {n: s.stride for n, s in zip(names, output_shapes, strict=True)}
        self._size_divisibility = size_divisibility

    @property
    def size_divisibility(self) -> int:
        """Return the number of pixels that the sides of images must be multiples of."""
        return self._size_divisibility

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> maps by name.

        Raises:
            ValueError: the wrapped model gives another number of maps.
        """
        maps = self.backbone(x)
        if self.neck is not None:
            maps = self.neck(maps)
        maps = list(maps.values()) if isinstance(maps, Mapping) else list(maps)
        if len(maps) != len(self._out_features):
            raise ValueError(f"{len(maps)} maps came out where {self._out_features} were expected")
        return dict(zip(self._out_features, maps, strict=True))


def _by_name(out_features: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    if isinstance(out_features, Mapping):
        return dict(out_features)
    return {name: name for name in out_features}


def _prefixes(nodes: Iterable[str]) -> set[str]:
    """Return the nodes of a graph and all modules that contain them."""
    parts = [node.split(".") for node in nodes]
    return {".".join(p[:i]) for p in parts for i in range(1, len(p) + 1)}


def _measure(model: nn.Module, in_chans: int, size: int) -> dict[str, torch.Size]:
    """Shapes of the maps of one square image."""
    probe = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad():
        maps = probe(torch.empty(1, in_chans, size, size, device="meta"))
    return {name: tensor.shape for name, tensor in maps.items()}
