"""The commands `push` and `pull`: models on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from lazycfg.cli.common import CommandError, mistakes, say

__all__ = ["pull", "push"]


def push(arguments: argparse.Namespace) -> int:
    """Upload a run, and print the URL of the commit; or write what would be uploaded into a folder.

    Raises:
        CommandError: there is no such run, or the hub refused it.
    """
    from lazycfg.engine import push_to_hub, save_for_hub
    from lazycfg.engine.hub import hub_name

    card = {"license": arguments.license, "text": arguments.text}
    with _explained(arguments):
        if arguments.to is not None:
            save_for_hub(arguments.run, arguments.to, repo=hub_name(arguments.repo), **card)
            say(arguments.to)
        else:
            say(push_to_hub(arguments.run, arguments.repo, private=arguments.private, **card))
    return 0


def pull(arguments: argparse.Namespace) -> int:
    """Download a model, and print the folder it is in.

    Raises:
        CommandError: it cannot be had.
    """
    from lazycfg.engine import pull_from_hub

    with _explained(arguments):
        say(pull_from_hub(arguments.repo))
    return 0


@contextmanager
def _explained(arguments: argparse.Namespace) -> Iterator[None]:
    """Tell what is wrong with a name, a run or a repository as a mistake.

    Raises:
        CommandError: with the message.
    """
    try:
        with mistakes(arguments):
            yield
    except (ValueError, ImportError) as error:
        if arguments.traceback:
            raise
        raise CommandError(str(error)) from error
