"""What authors do at the registry beside submitting: answers, transfers of names, their own list.

All of it is written by a session, not by a signature. So none of it is evidence, none of it is
counted by the gate, and a runner never sees it; ADR 0019 says what follows from that.
"""
