"""What the kinds that run containers have in common."""
