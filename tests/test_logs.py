import subprocess
import sys

JOB = """
from crisp_core.errors import UserError
from crisp_core.logs import start_log
start_log({path!r}).info("at work")
raise {error}
"""


def run(path, error):
    job = JOB.format(path=str(path), error=error)
    return subprocess.run([sys.executable, "-c", job], capture_output=True, text=True)


def test_a_users_mistake_is_one_line_in_the_log_and_on_the_terminal(tmp_path):
    done = run(tmp_path / "log", "UserError('a.mrc: is\\n empty')")
    assert done.returncode == 1
    assert done.stderr == (tmp_path / "log").read_text()
    assert [line[9:] for line in done.stderr.splitlines()] == ["at work", "error: a.mrc: is empty"]


def test_any_other_error_keeps_its_traceback(tmp_path):
    assert run(tmp_path / "log", "ValueError('no')").returncode == 1
    assert "Traceback" in (tmp_path / "log").read_text()
    assert "ValueError: no" in (tmp_path / "log").read_text()
