"""Which layer makes which op, and the traced graphs as plain data."""
