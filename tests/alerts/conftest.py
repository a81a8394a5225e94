"""A project whose checks say what a test lets them say, and a webhook."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from said import Party, party
from saying import YAML, Scene

from leadgate.app.wire import CONFIG


@pytest.fixture
def scene(tmp_path: Path, database: str) -> Scene:
    """A project with no channel."""
    (tmp_path / CONFIG).write_text(YAML)
    return Scene(tmp_path, database)


@pytest.fixture
def webhook() -> Iterator[Party]:
    """It takes everything."""
    with party() as told:
        yield told
