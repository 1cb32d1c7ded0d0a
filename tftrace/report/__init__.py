"""Tables to eyes and files."""
