#!/usr/bin/env bash
# Train one method on synthetic people and optionally on photographs: a small variant for a CPU, or the paper's size.
#
#     recipes/methods.sh METHOD small|paper OUT PEOPLE.parquet [PHOTOGRAPHS.parquet@SPLIT]
#
# METHOD   deadpan, derl, dgcn, degan, errnet, cnn, pixel_difference or feature_difference
# small    half the width at 64 px, one core, 270,000 pictures
# paper    full width at the method's own size (derl, dgcn 64; degan 96; errnet 128), 2 million pictures, one GPU
# OUT      the run folder; a stopped run is continued
# PEOPLE, PHOTOGRAPHS: prepared at the method's size (`deadpan prepare ... --image-size S`). With photographs, a tenth of a
# batch is synthetic people in the stages that recognise; stages that need pairs use only synthetic people.
set -euo pipefail
[ $# -ge 4 ] || { sed -n 2,11p "$0"; exit 2; }
method=$1 size=$2 out=$3 people=$4 photographs=${5:-}

case $size in
  small) epochs=30 loop=(--batch-size 32 --threads 1 --pictures-per-epoch 9000) ;;
  paper) epochs=200 loop=(--batch-size 128 --pictures-per-epoch 10000) ;;
  *) sed -n 2,11p "$0"; exit 2 ;;
esac
part() { echo $((epochs * $1 / 10)); } # tenths of the budget
case $method in
  deadpan) flags=(--removal-epochs "$(part 2)" --epochs "$(part 8)") ;;
  derl) flags=(--outer-skip --warp --blocks 1 --adversarial 0 --generator-epochs "$(part 3)" --classifier-epochs "$(part 1)" --joint-epochs "$(part 6)" --joint-rate 1e-3) ;;
  dgcn) flags=(--skips --warp --blocks 1 --contrast concat --contrastive 0 --generator-epochs "$(part 3)" --contrast-epochs "$(part 3)" --joint-epochs "$(part 4)") ;;
  degan) flags=(--warp --synthesis-epochs "$(part 4)" --classifier-epochs "$(part 2)" --joint-epochs "$(part 4)") ;;
  errnet) flags=(--output warp --adversarial 0 --pretrain-epochs "$(part 2)" --epochs "$(part 8)" --rate 1e-3) ;;
  cnn) flags=(--epochs "$(part 10)") ;;
  pixel_difference | feature_difference)
    flags=(--outer-skip --warp --generator-epochs "$(part 3)" --classifier-epochs "$(part 7)") ;;
  *) sed -n 2,11p "$0"; exit 2 ;;
esac
if [ "$size" = small ]; then
  flags+=(--image-size 64)
  [ "$method" = cnn ] || flags+=(--width 0.5)
  case $method in cnn | *_difference) flags+=(--rate 2e-3) ;; esac # with batches of 32 better than 4e-3, docs/results.md
  [ "$method" = degan ] && flags+=(--stem 2)
  [ "$method" = errnet ] && flags+=(--stem-stride 2)
fi

# Photographs such as FER2013's already have a low resolution, so that the augmentation is weaker.
data=(--data "$people")
if [ -n "$photographs" ]; then
  data+=("$photographs" --weights 0.1 0.9 --augment.grey 0.5)
  data+=(--augment.resolution 0.05 --augment.blur 0.05 --augment.blocks 0.05 --augment.noise 0.03)
fi
resume=()
[ -e "$out" ] && resume=(--resume)
deadpan train "$method" "${data[@]}" "${flags[@]}" "${loop[@]}" --out "$out" "${resume[@]}"
