"""The controllers: each looks at all objects of its kinds and does the next step towards what they ask for."""
