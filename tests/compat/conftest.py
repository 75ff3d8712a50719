"""The alias is on in the tests of this folder, and off again after each of their files."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def alias() -> Iterator[None]:
    import lazycfg.compat.detectron2 as detectron2_alias

    detectron2_alias.switch_on()
    yield
    detectron2_alias.switch_off()
