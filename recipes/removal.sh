#!/usr/bin/env bash
# What the removal is worth for the recognition: the method deadpan with and without it (`--no-removal`), three seeds each,
# on the same pictures.
#
#     recipes/removal.sh FOLDER OUT [SEED ...]
#
# FOLDER  the prepared files that recipes/default.sh makes
# OUT     gets a run for each seed and each of both, and their figures; their means and deviations are printed
# SEED    0 1 2 by default
# 300,000 pictures each, at width 0.4, from random weights. About an hour on one CPU core.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,10p "$0"; exit 2; }
data=$(realpath "$1") out=$2
seeds=("${@:3}")
[ ${#seeds[@]} -gt 0 ] || seeds=(0 1 2)
mkdir -p "$out"

for seed in "${seeds[@]}"; do
  for kind in removal no-removal; do
    run=$out/$seed-$kind
    if [ ! -e "$run/model.safetensors" ]; then
      resume=()
      [ ! -e "$run" ] || resume=(--resume)
      deadpan train deadpan --out "$run" --seed "$seed" "--$kind" --width 0.4 --epochs 15 --rate 3e-3 --dropout 0.1 \
        --data "$data"/{composites,ict,people}.parquet "$data/ferplus.parquet@train" "$data/news.parquet" \
        --weights 0.12 0.04 0.04 0.7 0.1 --balance 0.2 --pictures-per-epoch 20000 --threads 1 --augment.grey 0.5 \
        --augment.resolution 0.03 --augment.blur 0.02 --augment.blocks 0.03 --augment.noise 0.02 --augment.erase 0.1 \
        --augment.brightness 0.1 --augment.contrast 0.15 --augment.gamma 0.15 --augment.shade 0.1 "${resume[@]}"
    fi
    deadpan export "$run" "$run.onnx"
    deadpan score "$run.onnx" "$data/ferplus.parquet@public_test" --json "$run.ferplus.json"
    deadpan score "$run.onnx" "$data/london.parquet" --json "$run.london.json"
  done
done

python - "$out" <<'PYTHON'
import json, statistics, sys
from pathlib import Path

found = {}  # (file, reading, figure, kind) -> per cent of each seed
for path in sorted(Path(sys.argv[1]).glob("*-*.json")):
    if not path.name.endswith((".ferplus.json", ".london.json")):
        continue
    kind = path.name.split(".")[0].partition("-")[2]
    for readings in json.loads(path.read_text()).values():
        for reading, figures in readings.items():
            for name in ("accuracy", "balanced_accuracy"):
                place = path.name.split(".")[1]
                found.setdefault((place, reading, name, kind), []).append(100 * figures[name])
for (place, reading, name, kind), values in sorted(found.items()):
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    mean = statistics.fmean(values)
    print(f"{place}, {reading}, {name}, {kind}: {mean:.1f} ± {spread:.1f} ({len(values)} seeds)")
PYTHON
