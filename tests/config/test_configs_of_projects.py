"""Configs of our projects can be imported by name, as those of the model zoo."""

from lazycfg import LazyConfig


def test_a_config_imports_one_of_a_project_by_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from lazycfg.projects.deeplab.configs.common.deeplab_v3_plus import model\n"
        "model.sem_seg_head.num_classes = 5\n"
    )
    assert LazyConfig.load(str(file)).model.sem_seg_head.num_classes == 5
    file.write_text("from lazycfg.projects.deeplab.configs.common.deeplab_v3_plus import model\n")
    assert LazyConfig.load(str(file)).model.sem_seg_head.num_classes == 19  # fresh at every load
