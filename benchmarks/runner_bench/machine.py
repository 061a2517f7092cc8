"""Where the figures come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import docker

from benchmarks._results import cpu

FIXED = ("runc", "runsc")


def describe(image: str) -> dict[str, Any]:
    """Describe processors, kernel, engine, cgroups and how busy the machine is already."""
    memory = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    client = docker.from_env()
    info, version = client.info(), client.version()
    components = {part["Name"]: part["Version"] for part in version.get("Components", ())}
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_mib": int(memory) >> 10,
        "kernel": platform.release(),
        "system": info.get("OperatingSystem", ""),
        "python": platform.python_version(),
        "engine": {
            "version": version.get("Version", ""),
            "containerd": components.get("containerd", ""),
            "runc": components.get("runc", ""),
            "runtimes": sorted(name for name in info.get("Runtimes", {}) if name in FIXED),
            "storage_driver": info.get("Driver", ""),
            "cgroup_version": info.get("CgroupVersion", ""),
            "cgroup_driver": info.get("CgroupDriver", ""),
        },
        "image": image,
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
    }
