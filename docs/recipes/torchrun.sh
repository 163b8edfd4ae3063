#!/bin/sh
# Two hosts under torchrun: the same command on each, with the address of the first one.
# Usage: sh torchrun.sh train.yaml node1:29400
set -eu
torchrun --nnodes=2 --nproc-per-node=4 --rdzv-backend=c10d --rdzv-endpoint="$2" --rdzv-id=fuse42 \
    --max-restarts=3 -m fusetrain train --config "$1"
