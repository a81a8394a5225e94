"""Leadgate takes a lead-scoring model to production and keeps it good there."""

__version__ = "0.1.0"
