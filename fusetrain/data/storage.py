"""How the images of a data set are stored, where a file alone cannot tell.

A frame drawn around the pictures is cut off wherever they are read, and one file may hold both
modalities. `image.py` obeys this; who finds it out is `spec.py` and `layouts/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# DroneVehicle publishes its images with so wide a white frame on every side.
DRONEVEHICLE_BORDER_PX = 100

Channels = Literal["separate", "rgbt", "rgb", "ir"]


@dataclass(frozen=True)
class Storage:
    """How pictures lie in their files.

    Attributes:
        border_px: Width in px of the frame that is cut off all four sides of both images, before
            EXIF rotation counts; 0 where there is none.
        channels: separate: one file a modality. rgbt: the visible and the infrared path of a pair
            are one file that holds R, G, B and infrared as four channels or as pages. rgb, ir:
            one modality is there alone; both paths name its file, the other image is grey.
    """

    border_px: int = 0
    channels: Channels = "separate"


AS_FILES = Storage()
