"""Scoring the records of a Kafka topic: consume, score in micro-batches, produce, exactly once.

Offsets and output of a micro-batch are one transaction. What needs the packages of the extra ``kafka`` is
imported when it is used.
"""
