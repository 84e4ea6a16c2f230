#!/usr/bin/env bash
# Fill .gpu, which git ignores, with what benchmarks/gpu.sh needs on a machine without network: `benchmarks/gpu_pack.sh`.
# Wheels for Python 3.12 on x86-64 of what the machine lacks, in the pinned versions, and the maps and models of the simulations.
# `--into FOLDER` fills another folder than .gpu, `--data FOLDER` has maps/ and models/ (default ../shared/data).
set -euo pipefail
cd "$(dirname "$0")/.."
into=.gpu data="${CRISP_TEST_DATA:-../shared/data}"
while [ $# -gt 0 ]; do
  case "$1" in
    --into) into="$2"; shift 2 ;;
    --data) data="$2"; shift 2 ;;
    *) echo "gpu_pack.sh: $1: no such option; see the head of the script" >&2; exit 2 ;;
  esac
done
limit_mib=60
map=sim_5a1a_bgal_D2_3.54A_80.mrc
# the last line is only for machines that have no pytest
packages="segmentation_models_pytorch mrcfile starfile gemmi finufft looseversion pooch platformdirs
  pydantic pydantic_core annotated-types typing-inspection typing_extensions jsonschema jsonschema-specifications referencing rpds-py attrs
  pytest iniconfig pluggy Pygments hypothesis sortedcontainers"
# published as source alone, pure Python
from_source="trackpy"

pinned() { cat requirements.txt requirements-test.txt | grep -i "^$1==" || { echo "gpu_pack.sh: $1 is not pinned" >&2; exit 1; }; }
platforms=""
for glibc in 2_28 2_27 2_17; do platforms+=" --platform manylinux_${glibc}_x86_64"; done
platforms+=" --platform manylinux2014_x86_64 --platform manylinux1_x86_64"
# names first, so that one that is not pinned ends the script
wanted="" built=""
for name in $packages; do wanted+=" $(pinned "$name")"; done
for name in $from_source; do built+=" $(pinned "$name")"; done

[ ! -e "$into" ] || [ -d "$into/wheels" ] || { echo "gpu_pack.sh: $into: is no folder of this script; name another one" >&2; exit 2; }
rm -rf "$into"
mkdir -p "$into/wheels" "$into/data/maps" "$into/data/models/maps"
pip() { "${PYTHON:-python3}" -m pip "$@"; }
# shellcheck disable=SC2086
pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp $platforms \
  --dest "$into/wheels" $wanted
# shellcheck disable=SC2086
pip wheel --quiet --no-deps --wheel-dir "$into/wheels" $built
cp "$data/maps/$map" "$into/data/maps/"
# of examples/general.yaml
cp "$data"/models/*.cif.gz "$data/models/models.tsv" "$into/data/models/"
cp "$data"/models/maps/polnet_5A_*.mrc.gz "$into/data/models/maps/"
size_mib=$(du -sm --apparent-size "$into" | cut -f1)
echo "$into: $(ls "$into/wheels" | wc -l) wheels and the data, $size_mib MiB of $limit_mib"
[ "$size_mib" -le "$limit_mib" ] || { echo "gpu_pack.sh: $into: $size_mib MiB is too much; carry less" >&2; exit 1; }
