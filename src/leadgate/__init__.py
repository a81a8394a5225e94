"""Leadgate takes a lead-scoring model to production and keeps it good there."""
