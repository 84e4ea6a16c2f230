"""A call of one of CRISP's job programs: options, marks of its end, signals, and the workflow as a child process."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any, NoReturn

import yaml

from crisp_core.errors import UserError
from crisp_core.external.job_folder import (
    ABORTED,
    FAILURE,
    SUCCESS,
    Aborted,
    check_abort,
    clear_marks,
    locked,
    mark_end,
)
from crisp_core.installation import snakefile

CONFIG, LOG = "crisp.yaml", "crisp.log"
# first line of the config that a job writes
WRITTEN = "# written by CRISP"
# Seconds between two looks at the workflow, and until a workflow that was asked to end is killed.
POLL_SECONDS, GRACE_SECONDS = 0.5, 15
STEP = re.compile(r"^(\d+) of (\d+) steps \(\d+%\) done")
RULE = re.compile(r"^(?:local)?rule (\w+):")
ERROR = re.compile(r"^(?:\d\d:\d\d:\d\d )?error: (.+)")


class OneLineParser(argparse.ArgumentParser):
    """Parser whose errors are a `UserError`, one line; options have no abbreviations."""

    def __init__(self, **options: str) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raise the message instead of leaving Python."""
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that RELION gives every job, and those of the computer."""
    parser.add_argument("--o", required=True, type=Path, help="folder of the job; RELION gives it")
    parser.add_argument("--j", type=at_least(1), default=1, help="number of CPU cores (RELION: number of threads)")
    parser.add_argument("--pipeline_control", help=argparse.SUPPRESS)
    parser.add_argument("--gpu", help="GPUs such as 0 or 0:1, or none; default: those that PyTorch finds")
    parser.add_argument("--settings", type=Path, help="config file whose settings are added to the job's own config")


def add_answer(parser: argparse.ArgumentParser, name: str, *, default: str, help: str) -> None:
    """Add an option that is yes or no; RELION's form may leave its value empty, which is yes.

    Parameters
    ----------
    parser : ArgumentParser
        Parser to add it to.
    name : str
        Option, such as --masks.
    default : str
        Answer without the option.
    help : str
        Meaning, for --help.
    """
    choice = {"choices": ("yes", "no"), "const": "yes", "default": default}
    parser.add_argument(name, nargs="?", type=str.lower, help=help, **choice)  # type: ignore[arg-type]


def at_least(minimum: int) -> Callable[[str], int]:
    """Type of an option: a whole number from `minimum` on."""

    def number(text: str) -> int:
        """Whole number."""
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {minimum} on")
        return int(text)

    return number


def run_as_job(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None], words: list[str]) -> int:
    """Do a job and mark its end as RELION expects it.

    Parameters
    ----------
    parser : ArgumentParser
        Options of the program.
    work : callable
        Takes the options; a `UserError` becomes one line, any other exception its traceback.
    words : list of str
        Arguments of the command line.

    Returns
    -------
    int
        Exit status: 0 success, 1 failure, 2 aborted.
    """
    try:
        # before the other options, so that a mistake in them is marked too
        folder = folder_of(words)
        if folder is None:
            parser.parse_args(words)
            raise UserError(f"{parser.prog}: --o is missing; give the folder of the job")
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            return mark_outcome(folder, lambda: work(parser.parse_args(words)))
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def folder_of(words: list[str]) -> Path | None:
    """Folder that --o names among the arguments of a command line."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--o", type=Path)
    try:
        found = first.parse_known_args(words)[0].o
    except argparse.ArgumentError:
        return None
    return None if {"-h", "--help"} & set(words) else found


def mark_outcome(folder: Path, work: Callable[[], None]) -> int:
    """Call `work`, print what ended it, and mark success, failure or abort in `folder`; the exit status."""
    clear_marks(folder)
    abort_on_signals()
    try:
        work()
    except Aborted as reason:
        print(f"aborted: {reason}", file=sys.stderr)
        mark_end(folder, ABORTED)
        return 2
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        mark_end(folder, FAILURE)
        return 1
    except BaseException:
        traceback.print_exc()
        mark_end(folder, FAILURE)
        return 1
    mark_end(folder, SUCCESS)
    return 0


def abort_on_signals() -> None:
    """Let the signals that end a program raise `Aborted`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, raise_aborted)


def raise_aborted(number: int, frame: object) -> NoReturn:
    """Handle a signal."""
    raise Aborted(f"signal {signal.Signals(number).name}")


def say(message: str) -> None:
    """Print a line of progress with the time, at once: RELION shows run.out while the job runs."""
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def run_workflow(folder: Path, options: argparse.Namespace, *, targets: Sequence[str]) -> None:
    """Run the workflow in the job's folder and print its progress; its whole output is in `crisp.log`.

    Parameters
    ----------
    folder : Path
        Folder of the job with the config file `crisp.yaml`, in which results/ is made.
    options : Namespace
        Options of `add_job_options`.
    targets : sequence of str
        Targets of the workflow.

    Raises
    ------
    UserError
        If the workflow failed, with its reason.
    Aborted
        If RELION asked the job to end.
    """
    command, environment = workflow_command(options, targets)
    log = folder / LOG
    with log.open("w") as output, log.open() as written:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # it inherits the lock of the folder
            close_fds=False,
        )
        follow(process, written, folder)
    if process.returncode:
        raise UserError(reason_of(log))


def workflow_command(options: argparse.Namespace, targets: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
    """Command that makes the targets of the workflow, with the options of `add_job_options`, and its environment."""
    limits, environment = gpu_limits(options.gpu)
    # job_folder has a lock; that of Snakemake would stay after a killed workflow
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile(), "--nolock", "--rerun-incomplete"]
    command += ["--cores", str(options.j), *limits, "--configfile", *config_files(options), "--", *targets]
    return command, environment


def config_files(options: argparse.Namespace) -> list[str]:
    """Config of the job, as seen from its folder, and the file of the option --settings."""
    if options.settings is None:
        return [CONFIG]
    if not options.settings.is_file():
        raise UserError(f"--settings: {options.settings} is not a file; give a config file, or leave it out")
    return [CONFIG, str(options.settings.absolute())]


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the config of the job into its folder; one that CRISP did not write is renamed, which is printed."""
    path = folder / CONFIG
    if path.exists() and not path.read_bytes().startswith(WRITTEN.encode()):
        kept = next(name for n in count(1) if not (name := path.with_suffix(f".old{n}")).exists())
        path.rename(kept)
        say(f"{path}: was not written by CRISP; it is {kept.name} now")
    path.write_text(f"{WRITTEN}\n{yaml.safe_dump(dict(config), sort_keys=False)}")


def gpu_limits(gpu: str | None) -> tuple[list[str], Mapping[str, str]]:
    """Arguments of Snakemake and environment for the option --gpu.

    Raises
    ------
    UserError
        If it is neither none nor a list of numbers.
    """
    if gpu is None:
        return [], os.environ
    if gpu == "none":
        return ["--resources", "gpu=0"], os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    numbers = re.split(r"[:,]", gpu)
    if not all(number.isdecimal() for number in numbers):
        raise UserError(f"--gpu: {gpu!r} is not a list of GPUs; give numbers such as 0 or 0:1, or none")
    return ["--resources", f"gpu={len(numbers)}"], os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(numbers)}


def follow(process: subprocess.Popen[bytes], written: IO[str], folder: Path) -> None:
    """Print progress until the workflow ends; end it if the job is aborted.

    Parameters
    ----------
    process : Popen
        The workflow, leader of its own session.
    written : file
        Its output, open for reading.
    folder : Path
        Folder of the job.
    """
    try:
        while process.poll() is None:
            check_abort(folder)
            print_progress(written)
            time.sleep(POLL_SECONDS)
    except BaseException:
        end_session(process)
        raise
    print_progress(written)


def print_progress(written: IO[str]) -> None:
    """Print a line for every step that has ended since the last call."""
    for message in progress_of(written):
        say(message)


def progress_of(lines: Iterator[str] | IO[str]) -> Iterator[str]:
    """Messages of progress in the lines of Snakemake's output."""
    for line in lines:
        if step := STEP.match(line):
            yield f"{step[1]} of {step[2]} steps done"
        elif rule := RULE.match(line):
            yield f"  started: {rule[1].replace('_', ' ')}"


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started, by force if they do not end by themselves."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def reason_of(log: Path) -> str:
    """One line that says why a workflow failed, from its output."""
    found = [match[1] for line in log.read_text(errors="replace").splitlines() if (match := ERROR.match(line))]
    return found[0] if found else f"{log}: the workflow failed; the end of this file has the reason"
