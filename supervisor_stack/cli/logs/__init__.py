"""The verb logs: what services print and what they write to log files of their own, in one order of time."""
