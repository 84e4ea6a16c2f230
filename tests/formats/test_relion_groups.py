import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.formats.relion_groups import used_groups

NUMBERS = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


@settings(max_examples=60)
@given(numbers=NUMBERS, more=NUMBERS, seed=st.integers(0, 99))
def test_used_groups_keep_each_particles_row(numbers, more, seed):
    known = np.random.default_rng(seed).permutation(sorted({*numbers, *more}))
    optics = pd.DataFrame({"rlnOpticsGroupName": [f"g{n}" for n in known], "rlnOpticsGroup": known})
    used, renumbered = used_groups(optics, pd.Series(numbers))
    assert used["rlnOpticsGroup"].tolist() == list(range(1, len(set(numbers)) + 1))
    assert [used["rlnOpticsGroupName"][n - 1] for n in renumbered] == [f"g{n}" for n in numbers]
    assert used["rlnOpticsGroupName"].tolist() == [f"g{n}" for n in known if n in numbers]
    everything, none = used_groups(optics, pd.Series([], dtype=int))
    assert len(everything) == len(optics) and len(none) == 0
