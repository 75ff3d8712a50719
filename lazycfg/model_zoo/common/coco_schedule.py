"""The schedules for COCO under the reference's name of this file; see `schedules`."""

from .schedules import (
    default_X_scheduler,
    lr_multiplier_1x,
    lr_multiplier_2x,
    lr_multiplier_3x,
    lr_multiplier_6x,
    lr_multiplier_9x,
)
