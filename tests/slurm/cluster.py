"""A real SLURM on this machine, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
CPU_NODES, GPU_NODE, FRAGILE_NODE = ("c1", "c2", "c3"), "g1", "c3"
NODES = (*CPU_NODES, GPU_NODE)

CONFIGURATION = """
ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[slurmctld]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
MpiDefault=none
AccountingStorageType=accounting_storage/none
# One machine plays all nodes: without control groups, and with more CPUs and memory than it has.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# Memory above what a job asked for ends it, as control groups do elsewhere.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
# Quick to schedule, and to notice that a node is lost.
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=0,batch_sched_delay=0
SlurmdTimeout=6
KillWait=1
ReturnToService=2
JobRequeue=0
# The tests ask about all jobs at the end.
MinJobAge=3600
MailProg=/bin/true
NodeName=DEFAULT CPUs=4 RealMemory=40000
{nodes}
PartitionName=standard Nodes={cpu_nodes} Default=YES MaxTime=7-00:00:00
PartitionName=gpu Nodes={gpu_node} MaxTime=2-00:00:00
"""


def why_not() -> str:
    """Say why SLURM cannot be started here; empty if it can."""
    missing = [name for name in DAEMONS if shutil.which(name, path=SEARCH_PATH) is None]
    if missing:
        return f"no SLURM here (apt-get install slurm-wlm munge): {', '.join(missing)} missing"
    return "" if os.geteuid() == 0 else "SLURM's daemons have to be started as root"


SEARCH_PATH = f"{os.environ['PATH']}:/usr/sbin"


@dataclass
class Cluster:
    """Three nodes without GPUs, one of which is ``fragile`` and two ``sturdy``, and one with pretended GPUs.

    All files lie in `folder`. SLURM's own programs find the cluster through :attr:`environment`.
    """

    folder: Path
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make a program use this cluster."""
        return {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self) -> None:
        """Write the configuration, start all daemons, and wait until every node is idle."""
        for name in ("bin", "munge", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self._configure()
        self._start_munge()
        self._start("slurmctld", "-c")
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.states() == dict.fromkeys(NODES, "idle"), "all nodes are idle")

    def stop(self) -> None:
        """End all jobs, then all daemons."""
        with suppress(subprocess.CalledProcessError):
            self.call("scancel", "--user=root")
            wait_until(lambda: not self.call("squeue", "-h"), "no job is left", 20)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def call(self, *command: str) -> str:
        """Run a program of SLURM; return what it printed."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def states(self) -> dict[str, str]:
        """State of each node."""
        with suppress(subprocess.CalledProcessError):  # the controller is still starting
            lines = self.call("sinfo", "-h", "-N", "-o", "%N %t").splitlines()
            return dict(line.split() for line in lines)
        return {}

    def jobs(self) -> list[dict[str, str]]:
        """What SLURM knows of each job that was sent, in order: `Comment`, `JobState`, `Partition`, …."""
        shown = self.call("scontrol", "show", "job", "--oneliner")
        lines = [line for line in shown.splitlines() if line.startswith("JobId=")]
        jobs = [dict(fact.split("=", 1) for fact in line.split() if "=" in fact) for line in lines]
        return sorted(jobs, key=lambda job: int(job["JobId"]))

    def jobs_of(self, rule: str) -> list[dict[str, str]]:
        """Jobs of one rule, in the order in which they were sent."""
        return [job for job in self.jobs() if job.get("Comment", "").startswith(f"rule_{rule}_wildcards")]

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._start("slurmd", "-N", node, name=node)

    def crash(self, node: str) -> None:
        """Kill the daemon of a node, and all that it runs."""
        self.daemons[node].kill()
        self.daemons[node].wait()
        jobs = [process for process in psutil.process_iter() if self._runs_on(process, node)]
        keepers = {parent for job in jobs for parent in job.parents() if parent.name() == "slurmstepd"}
        for process in [*keepers, *jobs]:  # a keeper would tell the controller how its job ended
            with suppress(psutil.Error):
                process.kill()

    def _runs_on(self, process: psutil.Process, node: str) -> bool:
        """Whether a process belongs to a job on a node of this cluster."""
        with suppress(psutil.Error):
            variables = process.environ()
            here = variables.get("SLURM_CONF") == self.environment["SLURM_CONF"]
            return here and variables.get("SLURMD_NODENAME") == node
        return False

    def _configure(self) -> None:
        ports = dict(zip(("slurmctld", *NODES), free_ports(1 + len(NODES)), strict=True))
        host = socket.gethostname().partition(".")[0]
        extras = dict.fromkeys(CPU_NODES, "Feature=sturdy")
        extras |= {FRAGILE_NODE: "Feature=fragile", GPU_NODE: "Gres=gpu:pretended:2"}
        address = f"NodeHostname={host} NodeAddr=127.0.0.1"
        text = CONFIGURATION.format(
            host=host,
            folder=self.folder,
            ports=ports,
            nodes="\n".join(
                f"NodeName={node} {address} Port={ports[node]} {extras.get(node, '')}" for node in NODES
            ),
            cpu_nodes=",".join(CPU_NODES),
            gpu_node=GPU_NODE,
        )
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        devices = [self.folder / f"gpu{i}" for i in range(2)]
        for device in devices:
            device.touch()
        # Snakemake calls srun without the variables of SLURM, so that it would look for /etc/slurm.
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        gres = f"AutoDetect=off\nNodeName={GPU_NODE} Name=gpu Type=pretended File={self.folder}/gpu[0-1]\n"
        (self.folder / "gres.conf").write_text(gres, encoding="utf-8")

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        key = folder / "key-file"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        options = [f"--{file}={folder / file}" for file in files]
        self._start("munged", "--foreground", "--force", *options)
        wait_until((folder / "socket").exists, "munge answers")

    def _start(self, program: str, *options: str, name: str | None = None) -> None:
        """Start a daemon in the foreground; SLURM's take -D for that."""
        foreground = [] if program == "munged" else ["-D"]
        with open(self.folder / f"{name or program}.out", "ab") as said:
            self.daemons[name or program] = subprocess.Popen(
                [shutil.which(program, path=SEARCH_PATH) or program, *foreground, *options],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Bring up a cluster whose files lie in `folder`, and take it down again."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until something happened, but not for ever."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited {seconds:g} s, but it is not so that {what}"
        time.sleep(0.1)
