"""Messages of a script with a loop of its own."""

import logging

import pytest

from lazycfg.engine import setup_logger


@pytest.fixture
def name():
    name = "lazycfg_test_of_setup"
    yield name
    logger = logging.getLogger(name)
    for handler in [*logger.handlers]:
        logger.removeHandler(handler)
        handler.close()


def test_messages_go_to_the_console_and_the_file_once(name, tmp_path, capfd):
    for _ in range(2):
        logger = setup_logger(tmp_path / "run", name=name)
    logging.getLogger(f"{name}.part").info("hello\x1b[31m")
    assert logger is logging.getLogger(name)
    assert capfd.readouterr().err.count("hello") == 1
    text = (tmp_path / "run" / "log.txt").read_text()
    assert text.count("hello") == 1
    assert "\x1b" not in text
    setup_logger(tmp_path / "mine.log", name=name)
    logger.warning("there")
    assert "there" in (tmp_path / "mine.log").read_text()


@pytest.mark.slow
def test_further_processes_write_to_files_only(name, tmp_path, capfd):
    setup_logger(tmp_path, name=name, rank=1).info("hello")
    assert "hello" in (tmp_path / "log.txt.rank1").read_text()
    assert capfd.readouterr().err == ""
    setup_logger(name=name, configure_stdout=False)
    assert not [h for h in logging.getLogger(name).handlers if h.name and "console" in h.name]
