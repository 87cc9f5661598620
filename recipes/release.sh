#!/usr/bin/env bash
# How the models of 0.1.0 were made, with the settings that the methods had at commit a5733ff (check that out to run it):
# two families of synthetic people, FER2013 photographs with FER+ votes, last epochs.
#
#     recipes/release.sh FERPLUS ICT OUT
#
# FERPLUS  the FER+ data as `deadpan prepare ferplus` reads it
# ICT      the converted ICT-FaceKit head (docs/data.md says how to convert a clone of ICT-FaceKit)
# OUT      a folder to work in
# About five hours on two CPU cores. Steps that are finished are kept, a training that was stopped goes on.
set -euo pipefail
[ $# -eq 3 ] || { sed -n 2,10p "$0"; exit 2; }
ferplus=$1 ict=$2 out=$3
mkdir -p "$out"

prepare() { # exit code 1 says that pictures were left out or occur twice, as some of FER2013 do
  deadpan prepare "$@" || [ $? -eq 1 ]
}

draw() { # NAME FLAGS...
  [ -e "$out/$1.parquet" ] && return
  deadpan synthesize "$out/$1" "${@:2}"
  prepare synthetic "$out/$1" "$out/$1.parquet"
}

fit() { # RUN METHOD FLAGS...
  [ -e "$out/$1/model.safetensors" ] && return
  [ -e "$out/$1" ] && set -- "$@" --resume
  (cd "$out" && deadpan train "$2" --out "$1" "${@:3}")
}

draw drawn --people 300 --seed 11
draw ict --people 500 --seed 12 --head ict --assets "$ict"
[ -e "$out/ferplus.parquet" ] || prepare ferplus "$ferplus" "$out/ferplus.parquet"
[ -e "$out/ferplus48.parquet" ] || prepare ferplus "$ferplus" "$out/ferplus48.parquet" --image-size 48

# The generator: drawn people only. The released one was stopped and begun again: 7 epochs on people aligned by their
# meshes, 3 aligned by the detector, both with direct output, then 8 with residual output; `first` stands for the former.
drawn_data=(--data ict.parquet drawn.parquet --weights 0.65 0.35 --own-neutral 0 --augment.grey 0.5)
shape=(--width 0.5 --outer-skip)
small=(--pictures-per-epoch 9000 --batch-size 32 --threads 1)
fit first derl "${drawn_data[@]}" "${shape[@]}" "${small[@]}" \
  --generator-rate 3e-4 --generator-epochs 10 --classifier-epochs 0
fit generator derl --start first "${drawn_data[@]}" "${shape[@]}" --residual-output "${small[@]}" \
  --augment.brightness 0.3 --augment.contrast 0.35 --augment.shade 0.3 \
  --adversarial 0.2 --generator-rate 3e-4 --generator-epochs 8 --classifier-epochs 0

# The classifiers: FER2013 photographs with FER+ votes. Their resolution is low already, so that little is taken away.
sharp=(--augment.resolution 0.05 --augment.blur 0.05 --augment.blocks 0.05 --augment.noise 0.03)
photographs=(--data ict.parquet drawn.parquet ferplus.parquet@train --own-neutral 0 --augment.grey 0.5 "${sharp[@]}")
# (of the released one, stage 3 was begun once at 3e-4 and stopped after an epoch, and then as below, in two cycles; it went
# by Adam, with the running statistics fixed, and held drawn faces too to what stage 1 had made of them)
frozen=(--generator-epochs 0 --classifier-epochs 0)
fit classifier derl --start generator "${photographs[@]}" --weights 0.12 0.08 0.8 "${shape[@]}" --residual-output \
  "${small[@]}" --generator-epochs 0 --classifier-epochs 8
fit joint derl --start classifier "${photographs[@]}" --weights 0.06 0.04 0.9 "${shape[@]}" --residual-output \
  "${small[@]}" "${frozen[@]}" --joint-epochs 11 --joint-rate 1e-3
fit derl derl --start joint "${photographs[@]}" --weights 0.06 0.04 0.9 "${shape[@]}" --residual-output \
  "${small[@]}" "${frozen[@]}" --joint-epochs 42 --joint-rate 1.5e-3

# DGCN learns its generator from drawn people alone, the rest like the classifier above.
fit dgcn dgcn "${photographs[@]}" --weights 0.65 0.35 0 0.06 0.04 0.9 --width 0.5 --skips --residual-output "${small[@]}" \
  --generator-epochs 10 --contrast-epochs 12 --joint-epochs 12

# The plain network, in three cycles, the last with pictures as they are: 37 passes over the photographs.
plain=(--data ferplus48.parquet@train --image-size 48 --threads 1)
fit cnn1 cnn "${plain[@]}" --epochs 15 "${sharp[@]}"
fit cnn2 cnn --start cnn1 "${plain[@]}" --epochs 10 --rate 3e-3 "${sharp[@]}"
fit cnn cnn --start cnn2 "${plain[@]}" --epochs 12 --rate 2.5e-3 \
  --augment.resolution 0 --augment.blur 0 --augment.blocks 0 --augment.noise 0 --augment.shade 0.1

# Of the generated change 0.7 is kept, without regions that change by less than 0.03 of 2 and the less the likelier the
# face is neutral, see docs/results.md. (The two last were put into the released files' graphs afterwards, as the export
# puts them there.)
for each in derl:ferplus:0.7 dgcn:ferplus:0.7 cnn:ferplus48:1; do
  IFS=: read -r run data strength <<<"$each"
  neutral=(--strength "$strength" --dead-zone 0.03 --leave-neutral 1)
  deadpan export "$out/$run" "${neutral[@]}"
  deadpan score "$out/$run/$run.onnx" "$out/$data.parquet@public_test" --json "$out/$run.metrics.json"
  deadpan export "$out/$run" "${neutral[@]}" --metrics "$out/$run.metrics.json" # then copied to deadpan/models
done
