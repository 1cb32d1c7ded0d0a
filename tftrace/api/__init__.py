"""What ``import tftrace`` gives."""
