import sys

import pytest

from crisp_core.errors import UserError
from crisp_core.programs import last_error, run_program


def python(code):
    return [sys.executable, "-c", code]


def test_a_missing_program_is_one_line_with_the_cure():
    with pytest.raises(UserError, match=r"^no_such_program: not found; install it so$"):
        run_program(["/bin/no_such_program", "--x"], install="install it so")


def test_a_failing_program_is_quoted():
    command = python("import sys; print('ERROR:'); print('what went wrong'); print('file.cpp, line 3'); sys.exit(3)")
    with pytest.raises(UserError, match=r"^python.* failed: what went wrong; its command and output are in the log$"):
        run_program(command, install="")


def test_what_a_program_prints_is_logged_and_of_a_progress_bar_the_last_state(caplog, tmp_path):
    code = r"import sys, os; print(os.getcwd()); sys.stderr.buffer.write(b' 0/5 sec\r 5/5 sec\n\nbad \xff\n')"
    with caplog.at_level("INFO", logger="crisp"):
        run_program(python(code), install="", folder=tmp_path)
    assert caplog.messages[0].startswith(f"{sys.executable} -c import sys")
    assert sorted(caplog.messages[1:]) == sorted([str(tmp_path), " 5/5 sec", "bad \ufffd"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a", "ERROR: bad box", "b"], "bad box"),
        (["ERROR: ", "bad star", "in: x.cpp, line 3"], "bad star"),
        (["Segmentation fault", ""], "Segmentation fault"),
        ([], "it printed nothing"),
    ],
)
def test_last_error_of_a_program(lines, message):
    assert last_error(lines) == message
