"""Revocations in the runner: followed from the registry's log, or handed over directly.

`rules` is what the policy says, `store` what is kept, `follower` polls and verifies, `routes` the
HTTP door, `cooldown` how old a version must be.
"""
