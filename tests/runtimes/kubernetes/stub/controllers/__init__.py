"""The controllers: each looks at the objects of its kinds and does the next step to what they ask for."""
