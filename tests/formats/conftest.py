import pytest


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A folder for the files of generated examples."""
    return tmp_path_factory.mktemp("files")
