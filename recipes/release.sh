#!/usr/bin/env bash
# How the released models were made: two drawn families, FER2013 photographs with FER+ votes, last epoch.
#
#     recipes/release.sh FERPLUS OUT [ICT]
#
# FERPLUS  the FER+ data as `deadpan prepare ferplus` reads it;  OUT  a folder to work in;
# ICT      the converted ICT-FaceKit head (deadpan.synthetic.ict.convert makes it from a clone of ICT-FaceKit).
# About two hours on two CPU cores. Every step keeps what is there already and goes on with what is not.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,9p "$0"; exit 2; }
ferplus=$1 out=$2 ict=${3:-}
mkdir -p "$out"

draw() { # NAME PEOPLE SEED FLAGS...
  local name=$1 people=$2 seed=$3
  shift 3
  [ -e "$out/$name.parquet" ] && return
  deadpan synthesize "$out/$name" --people "$people" --seed "$seed" "$@"
  deadpan prepare synthetic "$out/$name" "$out/$name.parquet"
}

draw drawn 300 11
[ -n "$ict" ] && draw ict 500 12 --head ict --assets "$ict"
[ -e "$out/ferplus.parquet" ] || deadpan prepare ferplus "$ferplus" "$out/ferplus.parquet"
[ -e "$out/ferplus48.parquet" ] || deadpan prepare ferplus "$ferplus" "$out/ferplus48.parquet" --image-size 48
