"""Revocations in the registry: taken in, kept in an append-only log, and acted on.

`intake` takes signed bundles, `log` appends them and signs fresh heads (the worker), `page` serves
them to runners, `standing` says what holds now, `effects` acts on what is published.
"""
