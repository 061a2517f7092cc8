"""The registry's TUF repository: what is published, signed so that a copy of it can be served.

The worker makes it, with online keys of its own; the web process only hands its files out. What
only the offline keys may say (root, targets) is put there by a ceremony (`sealgate keys`), and the
worker takes it only after it has verified it from the pinned root on.
"""
