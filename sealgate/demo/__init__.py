"""`make demo`: the whole story with real parts, then everything that must fail, visibly."""
