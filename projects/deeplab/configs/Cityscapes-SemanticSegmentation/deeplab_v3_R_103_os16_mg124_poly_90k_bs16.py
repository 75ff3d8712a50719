from ..common.deeplab_v3 import model
