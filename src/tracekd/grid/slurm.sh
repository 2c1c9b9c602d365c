#!/bin/bash
# The job script of a task on SLURM. To change it, copy it, name the copy in grid.yaml
# (slurm: template) and edit that. What grid.yaml says of partition, account, GPUs, cores, memory
# and time reaches sbatch as options, which win over lines here.
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time limit, the task keeps a checkpoint and puts itself in the queue again.
#SBATCH --signal=B:USR1@120

# What your cluster needs before Python starts, such as:
# module load cuda
# export HF_HOME=/shared/huggingface

offset=$1
shift
# exec: the signal has to reach Python, not a shell.
exec "$@" $((offset + SLURM_ARRAY_TASK_ID))
