"""The machine that a job runs on, as far as numbers or costs may depend on it."""

import os
import platform
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path


def this_machine() -> dict[str, str]:
    """Tell ``host``, ``processor``, ``threads``, ``gpu`` and ``driver`` of a job; empty if not known."""
    gpu, driver = _gpus()
    return {
        "host": platform.node(),
        "processor": _processor(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "gpu": gpu,
        "driver": driver,
    }


def _processor() -> str:
    """Model of the processor, as Linux names it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[str, str]:
    """Models of the GPUs that this job may see, and the version of their driver, as nvidia-smi tells them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "", ""
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "", ""
    found = [line.rpartition(", ") for line in told.splitlines() if ", " in line]
    models, drivers = (dict.fromkeys(line[place] for line in found) for place in (0, 2))
    return "; ".join(models), "; ".join(drivers)
