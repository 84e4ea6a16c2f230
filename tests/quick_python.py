"""A Python for tests that starts quickly: a fork of a process that has imported the libraries of the workflow.

Whole runs start many processes, and most of their time goes to imports. `quick_python()` gives a program that takes
`-m MODULE ...` or `SCRIPT ...` as Python does; it sends them to a server, whose fork runs them. Modules of crisp_core
are not imported beforehand, so that every copy of the workflow runs its own.

What differs from Python: imports that a script forgets, hash seeds, the memory and processor time that Snakemake
measures (of the program, not of the fork), open files other than the three streams, which stay with the program, and
signals, of which all end the fork at once. `CRISP_SLOW_PYTHON=1` runs all tests with Python itself.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

LIBRARIES = """
    snakemake.cli snakemake_executor_plugin_slurm snakemake.report.html_reporter
    numpy pandas scipy.fft scipy.ndimage scipy.optimize scipy.spatial scipy.stats h5py yaml pydantic PIL.Image
    mrcfile starfile tifffile gemmi pooch torch timm segmentation_models_pytorch skimage.measure skimage.morphology
    skimage.filters trackpy matplotlib.figure matplotlib.pyplot threadpoolctl
""".split()
# of the tests as a whole, not of the first one that needs the server
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
# other options than -m are for Python itself
PROGRAM = """#!/bin/sh
case "$1" in
    -m | [!-]*) exec "{python}" -IS "{file}" ask "{address}" "$@" ;;
    *) exec "{python}" "$@" ;;
esac
"""


@cache
def quick_python(*runner: str) -> str:
    """Path of the program; the first call with a `runner` starts a server for it, which ends with this process.

    `runner` comes before the server's command and must exec it, as setpriv does; forks have the rights of their server.
    Where the program is Python itself, it has no effect, so put it before the call too.
    """
    if os.environ.get("CRISP_SLOW_PYTHON") or sys.platform != "linux":
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="quick-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address, program = folder / "socket", folder / "python"
    command = [*runner, sys.executable, __file__, "serve", str(address), str(program), str(os.getpid())]
    server = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT)
    program.write_text(PROGRAM.format(python=sys.executable, file=__file__, address=address))
    program.chmod(0o755)
    while not address.exists():
        if server.poll() is not None:
            raise RuntimeError("the server of tests/quick_python.py ended")
        time.sleep(0.05)
    return str(program)


def serve(address: str, program: str, parent: str) -> None:
    """Import the libraries, and fork for every request until the process `parent`, which started the server, ends."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # a collection in a fork would touch, and so copy, every page
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.part")
        server.listen(64)
        server.settimeout(1)
        os.rename(f"{address}.part", address)
        while os.getppid() == int(parent):
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    process = os.fork()
                except OSError as error:
                    print(f"tests/quick_python.py: {error}", file=sys.stderr)
                    continue
                if process == 0:
                    server.close()
                    answer(connection, program)


def answer(connection: socket.socket, program: str) -> None:
    """Run what a client asks for, in this process, and end it."""
    connection.settimeout(None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, *_ = socket.recv_fds(connection, 8, 3)
    request = json.loads(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    import numpy as np
    from threadpoolctl import threadpool_limits

    sys.executable = program
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    # what an import reads and draws
    threadpool_limits(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    np.random.seed()
    # a client that is killed takes its process with it
    threading.Thread(target=lambda: connection.recv(1) or os._exit(1), daemon=True).start()
    status = status_of(request["arguments"])
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    connection.send(bytes([status & 0xFF]))
    os._exit(status)


def status_of(arguments: list[str]) -> int:
    """Exit status of a module or script."""
    try:
        if arguments[0] == "-m":
            sys.path[0], sys.argv = os.getcwd(), arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path[0], sys.argv = str(Path(arguments[0]).parent), arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def ask(address: str, arguments: list[str]) -> int:
    """Exit status of the process that the server forks for these arguments."""
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    message = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError as error:
            sys.exit(f"the server of tests/quick_python.py is gone: {error}")
        socket.send_fds(connection, [len(message).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(message)
        return (connection.recv(1) or b"\1")[0]


if __name__ == "__main__":
    task, *given = sys.argv[1:]
    if task == "serve":
        serve(*given)
    else:
        sys.exit(ask(given[0], given[1:]))
