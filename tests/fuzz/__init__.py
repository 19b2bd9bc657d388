"""Programs that try to break what others may talk to."""
