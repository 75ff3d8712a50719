"""Two ways of extending a model: a part written anew, and a part of the library with one method replaced."""

from lazycfg.projects.write_models.my_rcnn_output import MyRCNNOutput
from lazycfg.projects.write_models.toy_backbone import ToyBackbone

__all__ = ["MyRCNNOutput", "ToyBackbone"]
