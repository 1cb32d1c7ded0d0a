"""Model files: loaded, or refused with the reason."""
