"""The one app of the example: it counts its visitors, in MySQL and in Redis."""
