"""Good files of every kind as YAML would give them, made up by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from airlock.spec import METRICS
from airlock.spec.kinded import written_kind

Written = dict[str, Any]

names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,8}[a-z0-9])?", fullmatch=True)
stage_names = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
lines = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20
).filter(lambda line: bool(line.strip()))
texts = st.one_of(lines, st.just(""), st.just("two\nlines"))
modes = st.sampled_from(["batch", "online"])
memory = st.sampled_from(["512MiB", "1GiB", "1024MiB", "1.5GiB", 2**30])


def mapping(
    needed: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[Written]:
    """A mapping with all of the needed keys and some of the optional ones."""
    return st.fixed_dictionaries(needed, optional=optional)


def _numbers(least: float, greatest: float) -> st.SearchStrategy[float]:
    return st.one_of(
        st.floats(max(least, -1e6), min(greatest, 1e6)),
        st.integers(int(max(least, -9)), int(min(greatest, 9))),
    )


@st.composite
def _limit(draw: st.DrawFn, metric: str) -> Written:
    numbers = sorted([draw(_numbers(*METRICS[metric].range)), draw(_numbers(*METRICS[metric].range))])
    limit = {"min": numbers[0], "max": numbers[1]}
    keep = draw(st.booleans())
    return (
        limit if keep else {key: limit[key] for key in ["min" if METRICS[metric].higher_is_better else "max"]}
    )


def _delta(metric: str) -> st.SearchStrategy[Written]:
    key = "min_delta" if METRICS[metric].higher_is_better else "max_delta"
    return st.floats(-1, 1).map(lambda bound: {key: bound})


@st.composite
def _performance(draw: st.DrawFn) -> Written:
    task = draw(st.sampled_from(["classification", "regression"]))
    metrics = st.sampled_from([name for name, metric in METRICS.items() if metric.task == task])
    options = draw(
        mapping(
            {"dataset": names},
            min_rows=st.integers(2, 10**6),
            confidence=st.floats(0.5, 0.99),
            resamples=st.integers(100, 10_000),
            threshold=st.floats(0, 1),
            score=lines,
        )
    )
    limits = {name: draw(_limit(name)) for name in draw(st.lists(metrics, max_size=2, unique=True))}
    compared = draw(st.lists(metrics, min_size=0 if limits else 1, max_size=2, unique=True))
    even_if_empty: bool = draw(st.booleans())
    if compared or even_if_empty:
        options["vs_champion"] = {name: draw(_delta(name)) for name in compared}
    below_metrics: bool = draw(st.booleans())
    return options | ({"metrics": limits} if limits and below_metrics else limits)


@st.composite
def _latency(draw: st.DrawFn) -> Written:
    rising = sorted(draw(st.lists(st.floats(0.1, 1e4), min_size=3, max_size=3)))
    keep = draw(st.sets(st.sampled_from(["p50_ms", "p95_ms", "p99_ms"]), min_size=1))
    limits = {
        key: value for key, value in zip(["p50_ms", "p95_ms", "p99_ms"], rising, strict=True) if key in keep
    }
    more = mapping(
        {},
        error_rate=st.floats(0, 1),
        requests=st.integers(1, 999),
        concurrency=st.integers(1, 99),
        records=st.just(2),
    )
    return limits | draw(more)


_OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "smoke": st.one_of(st.none(), mapping({}, records=st.integers(1, 99))),
    "contract": st.one_of(st.none(), mapping({}, rtol=st.floats(0, 1), atol=st.floats(0, 1))),
    "performance": _performance(),
    "latency": _latency(),
}


@st.composite
def _check(draw: st.DrawFn, number: int) -> Any:
    kind = draw(st.sampled_from(sorted(_OPTIONS)))
    options = draw(_OPTIONS[kind])
    if number == 0 and not options and draw(st.booleans()):
        return kind
    named = {"name": f"check_{number}"} if number else {}
    return {
        kind: {**(options or {}), **named, **draw(mapping({}, on_fail=st.sampled_from(["reject", "warn"])))}
    }


_latency_limits = {
    f"p{percent}_{of}": st.floats(0.1, 1e4) for percent in (50, 95, 99) for of in ("ratio", "ms")
}
_guards: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["error_rate", "latency", "score_distribution", {"error_rate": None}]),
    mapping({}, max_increase=st.floats(0.001, 1), max=st.floats(0, 1), confidence=st.floats(0.5, 0.99)).map(
        lambda options: {"error_rate": options}
    ),
    mapping({}, tolerance_ms=st.floats(0, 9), **_latency_limits).map(lambda options: {"latency": options}),
    mapping({}, max_psi=st.floats(0.01, 9)).map(lambda options: {"score_distribution": options}),
    mapping(
        {"metric": st.just("process_resident_memory_bytes"), "max_ratio": st.floats(0.1, 9)},
        labels=st.dictionaries(names, texts, max_size=2),
        max=st.floats(-9, 9),
        max_increase=st.floats(0, 9),
    ).map(lambda options: {"metric": options}),
)
_answers = mapping(
    {},
    max_differ=st.one_of(st.none(), st.floats(0.001, 1)),
    tolerance=st.floats(0, 9),
    examples=st.integers(0, 50),
).map(lambda options: {"answers": options})
_durations = st.sampled_from(["10m", "36h", "1d12h"])


def _lists_of(guards: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(guards, min_size=1, max_size=3, unique_by=lambda guard: str(written_kind(guard)))


_guarded: dict[str, st.SearchStrategy[Any]] = {
    "drain": _durations,
    "least_requests": st.integers(1, 10**6),
    "extend": st.integers(0, 9),
}
_rollouts: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, "direct", "blue_green", "canary", "shadow", {"strategy": "direct"}]),
    mapping({"strategy": st.just("blue_green")}, drain=_durations),
    mapping(
        {"strategy": st.just("canary")},
        steps=st.lists(st.integers(1, 99), max_size=4, unique=True).map(lambda steps: [*sorted(steps), 100]),
        bake=_durations,
        sticky=st.one_of(st.none(), st.just({"header": "X-Customer"})),
        guard=_lists_of(_guards),
        **_guarded,
    ),
    mapping(
        {"strategy": st.just("shadow")},
        percent=st.integers(1, 100),
        duration=_durations,
        ask=st.booleans(),
        guard=_lists_of(st.one_of(_guards, _answers, st.just("answers"))),
        **_guarded,
    ),
)


@st.composite
def _stage(draw: st.DrawFn, name: str) -> Written:
    checks = [draw(_check(number)) for number in range(draw(st.integers(0, 3)))]
    more = draw(mapping({}, mode=modes, retire=st.sampled_from(["when_replaced", "when_promoted"])))
    if more.get("mode") != "batch":
        more |= draw(mapping({}, rollout=_rollouts))
    even_if_empty: bool = draw(st.booleans())
    return {"name": name, **more} | ({"checks": checks} if checks or even_if_empty else {})


@st.composite
def lifecycles(draw: st.DrawFn) -> Written:
    stages = [draw(_stage(name)) for name in draw(st.lists(stage_names, min_size=1, max_size=4, unique=True))]
    return {"lifecycle": draw(names), "stages": stages} | draw(mapping({}, description=texts))


services = st.one_of(
    mapping(
        {"service": names, "lifecycle": names, "owner": lines},
        description=texts,
        risk=st.sampled_from(["low", "medium", "high"]),
        mode=st.one_of(modes, st.dictionaries(stage_names, modes, max_size=3)),
        on_newer=st.sampled_from(["supersede", "queue"]),
        datasets=st.dictionaries(names, mapping({"path": lines, "target": lines}), max_size=2),
        resources=mapping({}, cpu=st.floats(0.1, 64), memory=memory),
        input=lines,
        output=st.sampled_from(["out", "out/{{ ds }}"]),
        partitions=st.integers(1, 64),
    ),
    mapping(
        {
            "service": names,
            "lifecycle": names,
            "owner": lines,
            "input": lines,
            "output": st.just("out/{{ ds }}"),
            "schedule": st.sampled_from(["0 6 * * *", "*/5 * * * mon-fri", "@daily"]),
        }
    ),
)
_options = {
    "cpu": st.floats(0.1, 64),
    "memory": memory,
    "environment": st.dictionaries(st.sampled_from(["A", "B_1"]), st.text("ab=%"), max_size=2),
}
_container_options = _options | {
    "images": mapping(
        {}, base=lines, registry=st.one_of(st.none(), lines), engine=st.one_of(st.none(), lines)
    ),
    "volumes": st.lists(
        mapping(
            {"volume": lines, "folder": st.sampled_from(["/srv/a", "/srv/b/c"])}, read_only=st.booleans()
        ),
        max_size=2,
        unique_by=lambda volume: volume["folder"],
    ),
    "ready_within": st.sampled_from(["10m", "1h30m"]),
}
_docker_options = _container_options | {
    "engine": st.sampled_from(["unix:///run/docker.sock", "tcp://engine:2376", "ssh://me@engine"]),
    "project": names,
    "network": st.one_of(st.none(), lines),
    "publish": st.one_of(st.none(), mapping({}, address=lines, ports=st.just("8000-8100"))),
    "user": st.one_of(st.none(), st.sampled_from(["1000:1000", "10001:0"])),
}


def _runtimes(kind: str, options: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Written]:
    return mapping(
        {
            "runtime": names,
            "kind": st.just(kind),
            "stages": st.lists(stage_names, min_size=1, max_size=3, unique=True),
        },
        services=st.lists(st.one_of(names, st.just("*")), min_size=1, max_size=3, unique=True),
        modes=st.lists(modes, min_size=1, unique=True),
        capacity=st.integers(1, 1000),
        connection=st.one_of(st.none(), lines),
        options=mapping({}, **options),
    )


runtimes = st.one_of(
    _runtimes("local", _options),
    _runtimes("docker", _docker_options),
    _runtimes("kubernetes", _container_options),
)
policies = mapping(
    {"stage": stage_names},
    approvals=st.lists(
        mapping({"role": names}, count=st.integers(1, 5)),
        max_size=3,
        unique_by=lambda approval: approval["role"],
    ),
    separation_of_duties=st.booleans(),
    expires=st.sampled_from(["10m", "36h", "1d12h", "7d", "1w"]),
    evidence=st.lists(st.sampled_from(["smoke", "contract", "performance", "latency"]), unique=True),
)
roles = mapping({}, roles=st.dictionaries(names, st.lists(lines, max_size=3, unique=True), max_size=3))
_fields = st.lists(
    st.one_of(
        mapping(
            {"name": lines, "type": st.sampled_from(["integer", "number"])},
            min=st.floats(-9, 0),
            max=st.integers(1, 9),
        ),
        mapping(
            {"name": lines, "type": st.just("string")},
            values=st.lists(texts, min_size=1, max_size=3, unique=True),
        ),
        mapping({"name": lines, "type": st.sampled_from(["boolean", "timestamp"])}, nullable=st.booleans()),
    ),
    max_size=3,
    unique_by=lambda field: field["name"],
)
models = mapping(
    {"model": names, "owner": lines},
    description=texts,
    format=st.sampled_from(["python", "mlflow", "onnx"]),
    source=st.just("source/model.py"),
    services=st.lists(names, max_size=2, unique=True),
    modes=st.lists(modes, min_size=1, unique=True),
    python=st.sampled_from([">=3.11", ">=3.11,<3.14", "~=3.12.1"]),
    input=_fields,
    output=_fields,
    golden=st.one_of(st.none(), st.just("golden.jsonl")),
    image=st.one_of(st.none(), st.just(f"registry.example:5000/risk@sha256:{'0' * 64}")),
)

BY_KIND: dict[str, st.SearchStrategy[Written]] = {
    "lifecycle": lifecycles(),
    "service": services,
    "runtime": runtimes,
    "policy": policies,
    "roles": roles,
    "model": models,
}
"""Good files, by kind."""


def kinds_and_specs() -> st.SearchStrategy[tuple[str, Written]]:
    """A kind of file, and a good file of the kind."""
    return st.sampled_from(sorted(BY_KIND)).flatmap(lambda kind: st.tuples(st.just(kind), BY_KIND[kind]))


_anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        lines,
        st.sampled_from(["smoke", "*", "online", "7d", "DEV"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["min", "smoke", "x"]), inner)
    ),
    max_leaves=4,
)


@st.composite
def mutations(draw: st.DrawFn, written: Any) -> Any:
    """A file with one place changed: a value replaced, a key or item left out, repeated, renamed or added."""
    copy = written
    if isinstance(written, dict) and written and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(written)))
        copy = {**written, key: draw(mutations(written[key]))}
        if draw(st.integers(0, 4)) == 0:
            del copy[key]
        elif draw(st.integers(0, 4)) == 0:
            copy[draw(st.sampled_from(["name", "metrics", "roc_auc", "rmse", f"{key}s"]))] = copy.pop(key)
    elif isinstance(written, list) and written and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(written) - 1))
        copy = [*written]
        copy[index : index + 1] = draw(
            st.sampled_from([[], [written[index]] * 2]) | mutations(written[index]).map(lambda item: [item])
        )
    else:
        copy = draw(_anything)
    return copy
