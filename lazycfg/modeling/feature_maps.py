"""Feature maps taken by name."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from lazycfg.utils.suggest import closest

T = TypeVar("T")


def select_maps(features: Mapping[str, T], names: Sequence[str], argument: str) -> list[T]:
    """Return the maps (or what is known of each) of these names, in this order.

    Args:
        features: by name, all that a backbone gives.
        names: those that a part asks for.
        argument: what the part calls the names, for the message.

    Raises:
        ValueError: a name that the backbone does not give.
    """
    for name in names:
        if name not in features:
            raise ValueError(
                f"{argument} is {list(names)}, and the backbone gives no {name!r}, only {list(features)}"
                f"{closest(name, features)}"
            )
    return [features[name] for name in names]
