#!/bin/bash
# One share of `synthoma detect` for each task of a job array. All tasks and all nodes see the same folders.
#
#   export SCANS=/shared/scans OUTPUT=/shared/found
#   array=$(sbatch --parsable --array=1-16 deploy/slurm/detect.sh)
#   sbatch --dependency=afterok:$array deploy/slurm/merge.sh
#
# A task that fails or is pre-empted is simply submitted again (--array=7): what it had finished is not done again.
# Another command: change the last line, here and in merge.sh, alike but for --shard.
#SBATCH --job-name=synthoma
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail
share="$SLURM_ARRAY_TASK_ID/${SLURM_ARRAY_TASK_COUNT:?run it as a job array}"
# shellcheck disable=SC2086
synthoma detect "$SCANS" -o "$OUTPUT" ${OPTIONS:-} --parts "$OUTPUT.parts" --shard "$share"
