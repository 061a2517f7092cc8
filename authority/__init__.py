"""Sigstore-compatible authority for one machine or an air-gapped site."""
