"""The image, assembled once a worker."""

import pytest

from tests.image.assembled import Image, assembled


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An image that no test changes."""
    return assembled(tmp_path_factory.mktemp("image"))
