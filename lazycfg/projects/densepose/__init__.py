"""DensePose: from the pixels of people and animals to points on a surface.

Charts (arXiv:1802.00434): each pixel belongs to one of 24 parts, and has two coordinates in its chart.
Continuous surface embeddings (arXiv:2011.12438): each pixel is compared with the vertices of a mesh.
"""

from . import cse, data, modeling, structures
from .cse import *  # noqa: F403
from .data import *  # noqa: F403
from .modeling import *  # noqa: F403
from .structures import *  # noqa: F403

__all__ = []
__all__ += cse.__all__
__all__ += data.__all__
__all__ += modeling.__all__
__all__ += structures.__all__
