"""What registry, runner and ceremony agree on about distribution by TUF. Pure; asks nobody.

The Update Framework, specification 1.0.34 (https://theupdateframework.github.io/specification/),
by python-tuf. `names` has the roles and the paths of targets, `records` the two small files that
are targets beside the wheels, `signing` keys and thresholds.
"""
