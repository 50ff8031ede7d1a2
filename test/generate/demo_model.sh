#!/usr/bin/env bash
# Makes the demo's model, test/fixtures/demo_model, with this program alone: about two hours on two cores, without a GPU.
#
#   test/generate/demo_model.sh WORK_FOLDER
#
# WORK_FOLDER gets pictures and checkpoints (about 150 MB); what comes out is WORK_FOLDER/demo_model.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=${1:?"the folder to work in"}
mkdir -p "$work"
cd "$work"
planner_tuner() { "$root/target/release/planner_tuner" "$@"; }
(cd "$root" && cargo build --release --locked --bin planner_tuner)

# The base: that of the golden sets, random numbers, which looks at pictures of 308x196 instead of 588x392.
mkdir -p demo_model/base
cp "$root"/test/fixtures/tiny_vlm/base/* demo_model/base/
sed -i 's/"max_pixels": 12845056/"max_pixels": 60000/' demo_model/base/preprocessor_config.json

# What the rules say to what the rules lead to, and to what chance leads to.
[ -d by_rules ] || planner_tuner collect --worlds generated:2000-2149 --policy expert --time-limit 30 --frames by_rules
[ -d by_chance ] || planner_tuner collect --worlds generated:2150-2249 --policy random --time-limit 15 --frames by_chance

learn="--base demo_model/base --learn head,history --dropout 0 --batch 16 --weight-decay 0.05 --threads 1"
[ -d first ] || planner_tuner finetune by_rules by_chance $learn -o first --rank 4 --feature 64 --history-width 64 \
    --history-frames 1 --history-size 112 --epochs 6 --learning-rate 5e-4 --validation 0.12

# And to what the model itself leads to.
[ -d by_model ] || planner_tuner collect --worlds generated:2300-2399 --policy supervised --base demo_model/base \
    --checkpoint first --threads 1 --time-limit 35 --frames by_model
planner_tuner finetune by_rules by_chance by_model $learn -o demo_model/checkpoint --from first \
    --first-policy demo_model/policy --epochs 4 --learning-rate 3e-4 --validation 0.1
rm -rf demo_model/checkpoint.training
