# Starts a module of CRISP as an External job of RELION (docs/relion.md): start MODULE OPTION…
# CRISP_PYTHON names the Python of CRISP's environment; without it, that of .venv in CRISP's folder is taken, or else the
# one on PATH.
root=$(dirname "$(readlink -f "$0")")/../..
has_packages='from importlib.util import find_spec; raise SystemExit(not (find_spec("snakemake") and find_spec("torch")))'

start() {
    if [ -z "$CRISP_PYTHON" ]; then
        if [ -x "$root/.venv/bin/python" ]; then CRISP_PYTHON=$root/.venv/bin/python; else CRISP_PYTHON=python3; fi
    fi
    if ! "$CRISP_PYTHON" -c "$has_packages"; then
        echo "error: $CRISP_PYTHON: is not the Python of CRISP's environment; set CRISP_PYTHON to it" >&2
        # without this mark, RELION takes the job for a running one
        while [ $# -gt 0 ]; do
            case $1 in --o) folder=$2 ;; --o=*) folder=${1#--o=} ;; *) folder= ;; esac
            if [ -d "$folder" ]; then touch "$folder/RELION_JOB_EXIT_FAILURE"; fi
            shift
        done
        exit 1
    fi
    PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$CRISP_PYTHON" -m "$@"
}
