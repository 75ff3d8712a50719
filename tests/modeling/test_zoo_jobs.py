"""Every zoo config describes a whole job."""

import pytest

from lazycfg.model_zoo import get_config, list_configs


@pytest.mark.parametrize("name", list_configs())
def test_a_job_has_all_its_parts(name):
    # they come by imports that a linter may take for unused
    assert {"model", "dataloader", "optimizer", "lr_multiplier", "train"} <= set(get_config(name))
