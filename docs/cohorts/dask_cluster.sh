#!/bin/sh
# Segment a cohort with a Dask cluster of three workers on this machine. On several machines, start the same workers
# there: they find the scheduler by its file, which must be on a disk that all of them see, as the scans must be.
#
#   sh docs/cohorts/dask_cluster.sh /data/scans /data/results
set -eu

mkdir -p "$2"
file="$2/scheduler.json"
dask scheduler --scheduler-file "$file" --no-dashboard &
scheduler=$!
trap 'kill "$scheduler"' EXIT
while [ ! -f "$file" ]; do sleep 1; done

# Dask's sampling profiler would take several per cent of the processor time.
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False

# One thread a worker: a worker segments one scan at a time. The resource "scan" limits how many run at once.
for number in 1 2 3; do
  dask worker --scheduler-file "$file" --nthreads 1 --resources "scan=1" --name "worker-$number" --no-dashboard &
done

spinaltap batch "$1" --output "$2" --scheduler "$file" --resources scan=1
