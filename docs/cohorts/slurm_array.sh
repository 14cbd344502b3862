#!/bin/sh
# Segment a cohort with a SLURM job array. Each task does one part; the parts share nothing but the output folder.
#
#   sbatch docs/cohorts/slurm_array.sh /data/scans /data/results
#
#SBATCH --job-name=spinaltap
#SBATCH --array=1-20
#SBATCH --cpus-per-task=2
#SBATCH --mem=3G
#SBATCH --time=08:00:00
#SBATCH --requeue
set -eu

# A task that is sent again goes on where it stopped: --resume is the default.
srun spinaltap batch "$1" --output "$2" --quiet --json \
  --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --jobs "$SLURM_CPUS_PER_TASK"
