"""Start of the program `crisp`: a mistake of the user is one line."""

import sys
from collections.abc import Sequence

from crisp_core.cli.options import parser
from crisp_core.errors import UserError
from crisp_core.external.job_folder import Aborted
from crisp_core.external.running import abort_on_signals


def main(words: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Parameters
    ----------
    words : sequence of str, optional
        Arguments; None takes those of the command line.

    Returns
    -------
    int
        Exit status: 0 success, 1 failure, 2 aborted.
    """
    try:
        options = parser().parse_args(words)
        abort_on_signals()
        options.work(options)
    except Aborted as reason:
        print(f"aborted: {reason}", file=sys.stderr)
        return 2
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
