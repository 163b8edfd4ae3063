#!/bin/sh
# All GPUs of one machine, or two processes on a machine without one.
# Usage: sh one-machine.sh train.yaml 2
set -eu
fusetrain train --config "$1" --devices "$2" --max-restarts 3
