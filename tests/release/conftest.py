"""What the tests of releases share: a gcloud of their own."""

from pathlib import Path

import pytest

from tests.release.gcloud import Gcloud


@pytest.fixture
def gcloud(tmp_path: Path) -> Gcloud:
    return Gcloud(tmp_path)
