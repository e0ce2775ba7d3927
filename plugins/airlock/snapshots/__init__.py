"""Snapshots: a model folder frozen into a manifest, and its bytes kept by their digest.

``pack`` reads a model folder and says what is in it, ``store`` keeps the bytes and gives them back,
``verify`` finds what has changed since. Nothing here imports, unpickles or runs a model's code.
"""
