import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.polling import wait_for
from tests.quick_python import quick_python


def run(path, text, *arguments, **options):
    path.write_text(text)
    return subprocess.run([quick_python(), path, *arguments], capture_output=True, text=True, **options)


HOOKED = "sys.excepthook = lambda kind, error, trace: print('error:', error, file=sys.stderr)"
ENDS = ("", "sys.exit()", "sys.exit(3)", "sys.exit(-1)", "sys.exit('no')", "sys.exit([1])", "raise ValueError('no')")


@pytest.mark.parametrize("end", [*ENDS, f"{HOOKED}\nraise ValueError('no')"])
def test_a_script_ends_as_with_python(end, tmp_path):
    path = tmp_path / "script.py"
    quick = run(path, f"import sys\nprint(__name__, sys.argv[1:])\n{end}\n", "a b", "c")
    slow = subprocess.run([sys.executable, path, "a b", "c"], capture_output=True, text=True)
    assert (quick.returncode, quick.stdout) == (slow.returncode, slow.stdout)
    assert quick.stderr.splitlines()[-1:] == slow.stderr.splitlines()[-1:]


def test_a_script_has_its_folder_environment_and_modules(tmp_path):
    (tmp_path / "more").mkdir()
    for name, value in (("crisp_core", "own"), ("more/given", "path")):
        (tmp_path / f"{name}.py").write_text(f"NAME = {value!r}\n")
    text = (
        "import crisp_core, given, os, sys\nprint(crisp_core.NAME, given.NAME, os.getcwd(), 'torch' in sys.modules)\n"
    )
    done = run(tmp_path / "script.py", text, cwd="/", env=os.environ | {"PYTHONPATH": str(tmp_path / "more")})
    assert done.stdout.split() == ["own", "path", "/", "True"], done.stderr


def test_a_module_and_what_it_starts_are_quick(tmp_path):
    (tmp_path / "outer.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, 'inner.py'], check=True)\n"
    )
    (tmp_path / "inner.py").write_text("import sys\nprint('torch' in sys.modules)\n")
    done = subprocess.run([quick_python(), "-m", "outer"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_a_killed_program_takes_its_process_with_it(tmp_path):
    path, number = tmp_path / "script.py", tmp_path / "number"
    path.write_text(f"import os, time\nopen({str(number)!r}, 'w').write(f'{{os.getpid()}} ')\ntime.sleep(600)\n")
    program = subprocess.Popen([quick_python(), path])
    wait_for(lambda: number.exists() and number.read_text().endswith(" "), seconds=60)
    process = psutil.Process(int(number.read_text()))
    program.send_signal(signal.SIGKILL)
    program.wait()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, seconds=60)
