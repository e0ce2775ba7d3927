"""One model over REST."""
