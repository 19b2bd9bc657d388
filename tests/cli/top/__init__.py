"""`stackctl top`."""
