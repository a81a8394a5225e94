"""Reports for people: what changed, what to do, and for every number where it comes from."""
