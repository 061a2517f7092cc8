"""Third-party wheels as plugins: resolved, locked by digest, their provenance verified, wrapped."""
