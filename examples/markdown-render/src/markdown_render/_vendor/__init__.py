"""Libraries of others, vendored; see ORIGIN.json and licenses/."""
