"""Evidence: Sigstore bundles of in-toto Statements about one wheel.

`trust.evidence.statements` makes statements, `trust.evidence.bundles` verifies bundles,
`trust.evidence.predicates` knows the types and their shapes, `trust.evidence.links` hands them
to in-toto.
"""
