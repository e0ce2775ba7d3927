"""Images of snapshots: made once, kept in a registry, found again by digest."""
