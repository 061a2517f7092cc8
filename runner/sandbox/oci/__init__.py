"""Containers without a daemon: the OCI runtime of the engine, called directly.

The same image, the same `Hardening`, the same harness and protocol; what is missing is what stands
between runner and runtime otherwise (dockerd, containerd, a shim for each container). See
docs/adr/0012-oci-driver.md.
"""

from runner.sandbox.oci.driver import OciDriver

__all__ = ["OciDriver"]
