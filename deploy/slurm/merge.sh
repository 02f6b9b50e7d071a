#!/bin/bash
# Puts the shares of detect.sh together, and does what none of them did.
#SBATCH --job-name=synthoma-merge
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=01:00:00
set -euo pipefail
# shellcheck disable=SC2086
synthoma detect "$SCANS" -o "$OUTPUT" ${OPTIONS:-} --parts "$OUTPUT.parts"
