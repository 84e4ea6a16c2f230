import os
import signal
import subprocess
import sys
import time

import pytest

from crisp_core.errors import UserError
from crisp_core.external.job_folder import ABORT_NOW, ABORTED, FAILURE, SUCCESS, Aborted, check_abort, locked
from crisp_core.external.running import mark_outcome

MARKS = {SUCCESS, FAILURE, ABORTED, ABORT_NOW}


def marks(folder):
    return {path.name for path in folder.iterdir()} & MARKS


@pytest.fixture
def own_signals():
    """Put back the handlers of signals that a job sets."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("work", "status", "mark", "printed"),
    [
        (lambda: None, 0, SUCCESS, ""),
        (lambda: fail(UserError("a.star: is empty; fill it")), 1, FAILURE, "error: a.star: is empty; fill it\n"),
        (lambda: fail(PermissionError(13, "Denied", "a")), 1, FAILURE, "error: [Errno 13] Denied: 'a'\n"),
        (lambda: fail(Aborted("by me")), 2, ABORTED, "aborted: by me\n"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(5), 2, ABORTED, "aborted: signal SIGTERM\n"),
    ],
)
def test_every_end_has_its_mark(tmp_path, capsys, own_signals, work, status, mark, printed):
    for name in MARKS:
        (tmp_path / name).touch()
    assert mark_outcome(tmp_path, work) == status and marks(tmp_path) == {mark}
    assert capsys.readouterr().err == printed


def test_an_unexpected_error_shows_where_it_came_from(tmp_path, capsys, own_signals):
    assert mark_outcome(tmp_path, lambda: fail(ZeroDivisionError("x"))) == 1 and marks(tmp_path) == {FAILURE}
    assert "Traceback" in capsys.readouterr().err


def test_relion_asks_for_the_end_by_a_file(tmp_path):
    check_abort(tmp_path)
    (tmp_path / ABORT_NOW).touch()
    with pytest.raises(Aborted):
        check_abort(tmp_path)


def lock_elsewhere(folder):
    """Try to lock a folder in another process, and return what that prints."""
    code = "import sys; from pathlib import Path; from crisp_core.external.job_folder import locked\n"
    code += "with locked(Path(sys.argv[1])): print('held')"
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_folder_belongs_to_one_process_at_a_time_and_to_its_workflow(tmp_path):
    with locked(tmp_path):
        workflow = subprocess.Popen(["sleep", "60"], close_fds=False)
        assert "a job of CRISP is running in it" in lock_elsewhere(tmp_path)
    assert "a job of CRISP is running in it" in lock_elsewhere(tmp_path)
    workflow.kill()
    workflow.wait()
    assert lock_elsewhere(tmp_path) == "held\n"
