#!/usr/bin/env bash
# Everything that needs a GPU, in at most 9 minutes: `benchmarks/gpu.sh FOLDER [--only PART ...] [--rehearse]`.
# FOLDER gets gpu.json, gpu.txt and weights. What the machine lacks comes from .gpu (benchmarks/gpu_pack.sh).
set -euo pipefail
run="$(cd "$(dirname "$0")" && pwd)/gpu/run.py"
# the driver ends by itself before that
exec timeout --kill-after=5 535 "${PYTHON:-python3}" "$run" "$@"
