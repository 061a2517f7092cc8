"""The shared vocabulary of Sealgate: wheel, manifest, evidence, gate and append-only log.

Nothing in here knows of a web framework, of Docker or of a database mapper, and nothing in here
imports another package of Sealgate.
"""
