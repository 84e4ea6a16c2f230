"""How the thread pools of numerical libraries wait: asleep, so that a job does not slow others on shared cores.

A pool that spins holds its core while it has nothing to do. Where other programs want the core, each waits for the
other's time slice, and small jobs become ten times slower (docs/performance.md, "Busy machines").
"""

from collections.abc import MutableMapping

# read once, when a library loads: OpenMP of GCC (PyTorch, scikit-learn) and of LLVM and Intel (Numba, MKL); OpenBLAS
# (NumPy, SciPy), 2^4 cycles instead of 2^26. SciPy's FFT workers sleep by themselves. GCC's spins for about as long as
# waking a thread takes, since a training that always sleeps is a twentieth slower where it has the machine to itself.
WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "20000",
    "KMP_BLOCKTIME": "0",
    "OPENBLAS_THREAD_TIMEOUT": "4",
}


def wait_asleep(environment: MutableMapping[str, str]) -> None:
    """Let the thread pools of all processes with this environment sleep while they wait; what is set stays."""
    for name, value in WAITING.items():
        environment.setdefault(name, value)
