"""Numbers in the manifest: their ranges are checked when it is read."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

LARGEST = (1 << 63) - 1
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
Index: TypeAlias = Annotated[int, msgspec.Meta(ge=-1, le=LARGEST)]
"""Into another list; -1 for none."""
Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
