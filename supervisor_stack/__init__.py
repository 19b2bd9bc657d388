"""stackd: a process supervisor for one web stack on one machine."""

__version__ = "0.1.0"
