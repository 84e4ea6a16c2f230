import subprocess
import sys

import pytest

from crisp_core.waiting import WAITING, wait_asleep

# one parallel product, then nothing to do: a pool that spins goes on using its processor
IDLE = """
import time, torch
torch.set_num_threads(2)
torch.ones(512, 512) @ torch.ones(512, 512)
before = time.process_time()
for _ in range(40):
    torch.ones(64, 64).exp_()
    torch.ones(300, 300) @ torch.ones(300, 300)
    time.sleep(0.01)
print(time.process_time() - before)
"""


def test_what_the_user_set_stays():
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    wait_asleep(environment)
    assert environment == WAITING | {"OMP_WAIT_POLICY": "ACTIVE"}


@pytest.mark.slow
def test_pools_that_sleep_use_no_time_while_they_wait():
    seconds = {}
    for name, environment in (("asleep", WAITING), ("spinning", {"OMP_WAIT_POLICY": "ACTIVE"})):
        done = subprocess.run([sys.executable, "-c", IDLE], env=environment, capture_output=True, text=True, check=True)
        seconds[name] = float(done.stdout)
    assert seconds["asleep"] < 0.7 * seconds["spinning"], seconds
