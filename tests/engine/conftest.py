"""Data that several tests of this folder train on."""

import pytest


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(training file, test file), two classes, masks and five keypoints."""
    from odd_runs import write_data

    folder = tmp_path_factory.mktemp("data")
    return write_data(folder, "train", keypoints=5), write_data(folder, "val", keypoints=5)
