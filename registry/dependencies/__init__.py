"""The wheels that plugins lock: taken with the plugin or fetched by digest, kept and served."""
