"""Tables of the page: counts by a column, and columns without a value."""

import numpy as np
import pandas as pd

from crisp_core.report.tables import empty_columns, table_rows, value_counts


def test_values_are_counted_and_empty_columns_named():
    table = pd.DataFrame(
        {"micrograph": ["a", "b", "c"], "verdict": ["good", "bad", "good"], "excluded": ["", "verdict bad", None]}
    )
    rows = table_rows(table.assign(ice_ring=np.nan, median_score=[np.nan, 0.5, np.nan]))
    assert value_counts(rows, "verdict") == {"good": 2, "bad": 1}
    assert value_counts(rows, "excluded") == {"verdict bad": 1}
    assert empty_columns(rows) == ["ice_ring"]
