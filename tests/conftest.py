import os
from pathlib import Path

import pytest
from hypothesis import settings

from crisp_core.waiting import wait_asleep
from tests.browser import chromium, opened  # noqa: F401 (fixtures)

# before a numerical library loads: two workers share the cores
wait_asleep(os.environ)

# the same examples on every machine, however slow it is
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests marked `gpu` where PyTorch finds none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of the real data; a test that needs it is skipped, with the reason, where it is missing."""
    path = Path(os.environ.get("CRISP_TEST_DATA", ROOT / "../shared/data")).resolve()
    if not path.is_dir():
        pytest.skip("real data not found: put it at ../shared/data or set CRISP_TEST_DATA")
    return path
