#!/usr/bin/env bash
# How the released models were made: two families of drawn people, FER2013 photographs with FER+ votes, last epochs.
#
#     recipes/release.sh FERPLUS ICT OUT
#
# FERPLUS  the FER+ data as `deadpan prepare ferplus` reads it
# ICT      the converted ICT-FaceKit head (docs/data.md says how to convert a clone of ICT-FaceKit)
# OUT      a folder to work in
# About two hours on two CPU cores. Steps that are finished are kept, a training that was stopped goes on.
set -euo pipefail
[ $# -eq 3 ] || { sed -n 2,9p "$0"; exit 2; }
ferplus=$1 ict=$2 out=$3
mkdir -p "$out"

draw() { # NAME FLAGS...
  [ -e "$out/$1.parquet" ] && return
  deadpan synthesize "$out/$1" "${@:2}"
  deadpan prepare synthetic "$out/$1" "$out/$1.parquet"
}

fit() { # RUN METHOD FLAGS...
  [ -e "$out/$1/model.safetensors" ] && return
  [ -e "$out/$1" ] && set -- "$@" --resume
  (cd "$out" && deadpan train "$2" --out "$1" "${@:3}")
}

draw drawn --people 300 --seed 11
draw ict --people 500 --seed 12 --head ict --assets "$ict"
[ -e "$out/ferplus.parquet" ] || deadpan prepare ferplus "$ferplus" "$out/ferplus.parquet"
[ -e "$out/ferplus48.parquet" ] || deadpan prepare ferplus "$ferplus" "$out/ferplus48.parquet" --image-size 48

# The generator: drawn people only. It began from a generator with direct output, 7 epochs of which had seen the same
# people aligned by their meshes, and 3 by the detector; here both are aligned by the detector.
drawn_data=(--data ict.parquet drawn.parquet --weights 0.65 0.35 --own-neutral 0)
shape=(--width 0.5 --outer-skip)
small=(--pictures-per-epoch 9000 --batch-size 32)
fit first derl "${drawn_data[@]}" "${shape[@]}" "${small[@]}" --augment.grey 0.5 \
  --generator-rate 3e-4 --generator-epochs 10 --classifier-epochs 0
light=(--augment.brightness 0.3 --augment.contrast 0.35 --augment.shade 0.3)
fit generator derl --start first "${drawn_data[@]}" "${shape[@]}" --residual-output "${small[@]}" --augment.grey 0.5 \
  "${light[@]}" --adversarial 0.2 --generator-rate 3e-4 --generator-epochs 8 --classifier-epochs 0

# The classifiers: FER2013 photographs with FER+ votes. Their resolution is low already, so that little is taken away.
sharp=(--augment.resolution 0.05 --augment.blur 0.05 --augment.blocks 0.05 --augment.noise 0.03)
fit derl derl --start generator --data ict.parquet drawn.parquet ferplus.parquet@train --weights 0.12 0.08 0.8 \
  --own-neutral 0 "${shape[@]}" --residual-output "${small[@]}" "${sharp[@]}" --augment.grey 0.5 \
  --generator-epochs 0 --classifier-epochs 8 --joint-epochs 6
fit cnn cnn --data ferplus48.parquet@train --image-size 48 --epochs 15 "${sharp[@]}"

for name in derl:ferplus cnn:ferplus48; do
  run=${name%:*} data=${name#*:}
  deadpan export "$out/$run"
  deadpan score "$out/$run/$run.onnx" "$out/$data.parquet@public_test" --json "$out/$run.metrics.json"
  deadpan export "$out/$run" --metrics "$out/$run.metrics.json" # then copied to deadpan/models
done
