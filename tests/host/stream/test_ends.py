"""When a topic is read to its end."""

from __future__ import annotations

from airlock_host.exceptions import KafkaUnusable
from airlock_host.stream.ends import TopicEnd


def test_all_partitions_must_be_read_to_where_they_end_now() -> None:
    newest = {0: 5, 1: 0}
    end = TopicEnd(lambda topic: newest)
    assert not end.reached("input")
    end.note("input", "t", {0: 5})
    assert not end.reached("input"), "another worker has a partition"
    end.note("input", "t", {0: 5, 1: 0})
    assert end.reached("input")
    newest[1] = 1
    assert not end.reached("input"), "a record came since"
    # A mark of a transaction stands behind the last record.
    end.note("input", "t", {0: 6, 1: 2})
    assert end.reached("input")


def test_what_was_read_before_is_not_the_end_of_what_is_read_now() -> None:
    end = TopicEnd(lambda topic: {0: 0})
    end.note("share", "t", {0: 0})
    assert not end.reached("input")
    end.forget()
    assert not end.reached("share")


def test_it_is_not_known_without_brokers_or_partitions() -> None:
    def refuse(topic: str) -> dict[int, int]:
        raise KafkaUnusable("no broker")

    for newest in (refuse, lambda topic: dict[int, int]()):
        end = TopicEnd(newest)
        end.note("share", "t", {0: 0})
        assert not end.reached("share")
