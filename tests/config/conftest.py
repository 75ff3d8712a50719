"""Makes the helpers of this folder importable from the rooms below."""

import pytest


@pytest.fixture
def marker(tmp_path):
    """Return the file that an attack would make."""
    return tmp_path / "marker"
