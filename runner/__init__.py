"""The runner: verifies, executes in containers, and keeps the audit trail."""
