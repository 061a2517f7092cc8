"""Which file is a version, and what is current: by signatures, not by the registry's word.

The runner follows the registry's TUF repository, or any copy of it, with unmodified
`tuf.ngclient`. This is in addition to the gate, never instead of it: what TUF names is admitted
only with full evidence. It adds what evidence cannot say: that nothing is withheld, old or mixed.
"""
