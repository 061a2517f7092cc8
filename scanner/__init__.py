"""Bandit and the checks that bandit does not make, in a confined process, as one report."""
