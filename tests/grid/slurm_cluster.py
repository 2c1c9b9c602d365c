"""A SLURM of its own on this machine: munged, slurmctld and two slurmd, with one fake GPU each.

All of it is in one temporary folder and listens on loopback. The daemons run as root, since slurmd
does nothing otherwise; they end with the block, and with the process if that is killed.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from toy import wait_for

NODES = ("one", "two")
DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv")

CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits as long as a credential is valid: here for 5 seconds instead of 120.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MailProg=/bin/true
ReturnToService=2
KillWait=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldPort={ports[0]}
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 Gres=gpu:1
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName=closed Nodes=ALL MaxTime=60 State=INACTIVE
"""


class SlurmCluster:
    """What a test does to its cluster, with SLURM's own commands."""

    def __init__(self, conf: Path) -> None:
        self.conf = conf

    def __call__(self, *command: str) -> str:
        """Run a command of SLURM; return what it prints."""
        done = subprocess.run(command, env=self.env(), capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def env(self) -> dict[str, str]:
        return os.environ | {"SLURM_CONF": str(self.conf)}

    def jobs(self) -> list[tuple[str, str]]:
        """Return id and state of each job, or task of an array, that has not ended."""
        lines = self("squeue", "-h", "-r", "-o", "%i %T").splitlines()
        return [(line.split()[0], line.split()[1]) for line in lines]

    def wait_until(self, state: str, seconds: float = 30) -> None:
        """Wait until a job has a state."""
        wait_for(lambda: any(has == state for _, has in self.jobs()), seconds)

    def wait_until_empty(self, seconds: float = 30) -> None:
        """Wait until every job has ended."""
        wait_for(lambda: not self.jobs(), seconds)


def require_slurm() -> None:
    """Skip the test where SLURM's daemons cannot run."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("SLURM's daemons run as root")
    if missing := [name for name in DAEMONS if shutil.which(name) is None]:
        pytest.skip(f"no {', '.join(missing)}: apt install munge slurmctld slurmd slurm-client")


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Start a cluster of two idle nodes."""
    require_slurm()
    with ExitStack() as stack:
        # Sockets have short paths; munged wants a folder that nobody else may write to.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        cluster = SlurmCluster(_configure(folder))
        stack.callback(_end_leftovers, cluster.conf)
        munge = {name: f"{folder}/munge.{name}" for name in ("socket", "key", "log", "pid", "seed")}
        files = [f"--{name}-file={munge[name]}" for name in ("key", "log", "pid", "seed")]
        _start(stack, cluster, "munged", "--foreground", "--force", "-S", munge["socket"], *files)
        wait_for(Path(munge["socket"]).exists)
        _start(stack, cluster, "slurmctld", "-D", "-i")
        for node in NODES:
            _start(stack, cluster, "slurmd", "-D", "-N", node)
        stack.callback(_cancel_all, cluster)
        wait_for(lambda: _are_idle(cluster))
        yield cluster


def _configure(folder: Path) -> Path:
    """Write what the daemons read; return the path of slurm.conf."""
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    host = socket.gethostname().split(".")[0]
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    (folder / "gres.conf").write_text(f"NodeName={','.join(NODES)} Name=gpu File=/dev/null\n")
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder, ports=ports))
    return conf


def _start(stack: ExitStack, cluster: SlurmCluster, *command: str) -> None:
    """Start a daemon that ends with the stack, at the latest with this process."""
    log = stack.enter_context((cluster.conf.parent / f"{command[0]}.out").open("ab"))
    child = ("setpriv", "--pdeathsig", "KILL", *command)
    daemon = subprocess.Popen(
        child, env=cluster.env(), stdout=log, stderr=log, start_new_session=True
    )
    stack.callback(_stop, daemon)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _are_idle(cluster: SlurmCluster) -> bool:
    """Return whether all nodes are ready; the controller may not answer yet."""
    command = ["sinfo", "-h", "-N", "-p", "main", "-o", "%T"]
    done = subprocess.run(command, env=cluster.env(), capture_output=True, text=True)
    return done.stdout.split() == ["idle"] * len(NODES)


def _cancel_all(cluster: SlurmCluster) -> None:
    """End all jobs while the daemons can still do it."""
    with suppress(AssertionError):
        cluster("scancel", "--user=root")
        cluster.wait_until_empty(15)


def _end_leftovers(conf: Path) -> None:
    """Kill what was started with this slurm.conf and is still there: steps outlive their slurmd."""
    mark = f"SLURM_CONF={conf}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                os.kill(int(path.parent.name), 9)
