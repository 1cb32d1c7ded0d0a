"""Protocol buffers: the wire format, and messages of our own."""
