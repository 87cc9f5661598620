#!/usr/bin/env bash
# Train the networks on one GPU within nine minutes, from data packed into less than 60 MB.
#
#     recipes/gpu.sh pack FERPLUS.parquet NEWS.parquet ICT.npz DIR     on any machine: pack the data into DIR
#     recipes/gpu.sh train DIR OUT [SECONDS]                           on the machine with the GPU
#
# FERPLUS  the FER+ data as `deadpan prepare ferplus` reads it
# NEWS     labelled photographs of known people, a table as `deadpan prepare csv` reads it
# ICT      the converted ICT-FaceKit head (docs/data.md)
# DIR      gets both tables with their pictures as WebP, the head, and the wheels that a machine with torch may lack
# OUT      gets model.safetensors and log.jsonl of every network, and gpu.log
# SECONDS  until everything is written, 520 by default; the networks share the time that the earlier steps leave
#
# `train` prepares the photographs, renders people, composes pairs, and trains the method deadpan at two widths. On a CPU
# it does the same on less data: 300 seconds are enough to see that it works.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
  pack)
    [ $# -eq 5 ] || { sed -n 2,16p "$0"; exit 2; }
    mkdir -p "$5/wheels"
    python3 "$here/gpu.py" pack "$2" "$3" "$4" "$5"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 -d "$5/wheels" \
      lightning-fabric cyclopts docstring-parser rich-rst docutils
    du -sh "$5"
    ;;
  train)
    [ $# -ge 3 ] || { sed -n 2,16p "$0"; exit 2; }
    if ! python3 -c 'import lightning_fabric, cyclopts' 2>/dev/null; then
      python3 -m pip install --quiet --no-index --no-deps --target /tmp/deadpan-wheels "$2"/wheels/*.whl
      export PYTHONPATH=/tmp/deadpan-wheels${PYTHONPATH:+:$PYTHONPATH}
    fi
    export PYTHONPATH=$here/..${PYTHONPATH:+:$PYTHONPATH} OMP_WAIT_POLICY=PASSIVE
    mkdir -p "$3"
    python3 -u "$here/gpu.py" train "$2" "$3" --seconds "${4:-520}" 2>&1 | tee "$3/gpu.log"
    ;;
  *) sed -n 2,16p "$0"; exit 2 ;;
esac
