"""What helps reviewers beside the evidence: facts for the queue, comments on lines, presence.

Nothing in here is signed but the acknowledgements, which are an index of what reviews say; nothing
in here counts for the gate.
"""
