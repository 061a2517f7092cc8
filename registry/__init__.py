"""The registry: accepts, keeps, shows, reviews and publishes plugins."""
