"""What runs inside the container: baked into the runtime image, standard library only.

`supervisor` is PID 1 and trusted, `worker` runs the plugin and is not; `protocol` is what they and
the runner agree on. Nothing here may import anything of ours from outside this folder: in the
image the folder stands alone, as the package `_sealgate_harness`.
"""
