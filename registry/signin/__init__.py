"""Signing in, for the pages: who looks at them.

What a session opens is decided in `registry.accounts`, and carries no trust. What does is a signed
bundle, and its signer is who acts. `registry.signin.views.install(app, settings)` adds sign-in to
an application.
"""
