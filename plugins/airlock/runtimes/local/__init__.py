"""Kind ``local``: processes on the machine of the Airflow worker.

This file imports nothing: the supervisor lives in this package and runs without Airlock's dependencies.
"""
