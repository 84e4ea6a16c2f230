#!/usr/bin/env bash
# Start a Slurm of one node with one pretended GPU, and print the ids of the processes that were started.
#
# usage: start_slurm.sh DIR     as root, with Debian's packages slurm-wlm and munge; state and logs go into DIR
#
# The configuration must be in /etc/slurm: the executor plugin drops SLURM_CONF from the environment of a job.
set -euo pipefail
dir=$(realpath -m "$1")
host=$(hostname -s)
mkdir -p "$dir/state" "$dir/spool" /etc/slurm /run/munge

# More processors and memory than there are (config_overrides), so that requests are met as a cluster meets them;
# no limits are enforced. Finished jobs stay known (MinJobAge), since there is no accounting database.
cat > /etc/slurm/slurm.conf <<CONF
# written by start_slurm.sh
ClusterName=test
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
MpiDefault=none
MinJobAge=3600
KillWait=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host CPUs=16 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
CONF
# a GPU needs a device file, and any does
echo "NodeName=$host Name=gpu File=/dev/null" > /etc/slurm/gres.conf

chown munge:munge /run/munge
if ! pgrep -x munged > /dev/null; then
    chown munge:munge /etc/munge/munge.key
    su -s /bin/sh munge -c "/usr/sbin/munged --force" > "$dir/munged.log" 2>&1
    pgrep -x munged
fi
slurmctld -D > "$dir/slurmctld.log" 2>&1 &
echo $!
slurmd -D > "$dir/slurmd.log" 2>&1 &
echo $!
for _ in $(seq 60); do
    if sinfo -h -o %t 2> /dev/null | grep -q idle; then exit 0; fi
    sleep 0.5
done
echo "the node takes no jobs; see $dir/slurmctld.log and $dir/slurmd.log" >&2
exit 1
