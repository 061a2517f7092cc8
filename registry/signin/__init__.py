"""Signing in, for the pages: who looks at them, never what they may do.

A session carries an identity for convenience. No write asks for it: each is a signed bundle, and
its signer is who acts. `registry.signin.views.install(app, settings)` adds it to an application.
"""
