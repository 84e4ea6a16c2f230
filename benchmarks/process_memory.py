"""Memory of a process, from Linux's status file."""

from pathlib import Path


def resident_mebibytes(key: str, pid: int | str = "self") -> float:
    """Resident memory of a process without its children, MiB: now (VmRSS) or at most so far (VmHWM); 0 if it ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith(key)), 0.0)
