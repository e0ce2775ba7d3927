"""librdkafka's mock cluster through its C interface, which sets what Python's cannot."""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka

_PRODUCER = 0
# Keys of Kafka's protocol.
ADD_OFFSETS, END_TRANSACTION, COMMIT_OFFSETS = 25, 26, 28


def _library() -> ctypes.CDLL:
    """The library that confluent-kafka brought along."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


class MockCluster:
    """A cluster of one broker that lasts as long as this process."""

    def __init__(self) -> None:
        self._library = _library()
        configuration = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        handle = ctypes.c_void_p(self._library.rd_kafka_new(_PRODUCER, configuration, None, 0))
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(handle, 1))
        # Else every group begins with a wait of three seconds.
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 50)

    @property
    def servers(self) -> str:
        servers: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return servers.decode()

    def create(self, topic: str, partitions: int) -> None:
        self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def fail(self, request: int, *codes: int) -> None:
        """Answer the next requests of a kind with errors."""
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster,
            ctypes.c_int16(request),
            ctypes.c_size_t(len(codes)),
            (ctypes.c_int * len(codes))(*codes),
        )
