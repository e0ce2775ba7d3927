import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airlock.spec import Lifecycle, Policy, Stage, canonical_json, digest, file_digest, short
from airlock.spec.base import Spec
from airlock.spec.yaml_documents import read_documents
from tests.spec.kinds import MODELS
from tests.spec.written_specs import Written, kinds_and_specs, mutations


def test_canonical_json_is_rfc_8785() -> None:
    assert canonical_json({"b": 1.0, "a": [True, None, "é\n"], "c": 1e-6}) == (
        '{"a":[true,null,"é\\n"],"b":1,"c":0.000001}'.encode()
    )


def test_digest_names_the_canonical_bytes() -> None:
    assert digest({}) == "sha256:" + hashlib.sha256(b"{}").hexdigest()
    assert short(digest({})) == hashlib.sha256(b"{}").hexdigest()[:12]


def test_digest_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.write_bytes(b"\x00\xff" * 1_500_000)

    assert file_digest(file) == "sha256:" + hashlib.sha256(b"\x00\xff" * 1_500_000).hexdigest()


def test_numbers_that_json_cannot_say_have_no_digest() -> None:
    for value in (float("nan"), 2**60):
        with pytest.raises(ValueError, match=r".+"):
            digest(value)


def test_examples_keep_their_digests() -> None:
    """Approvals refer to these digests: a change here voids what people have decided."""
    assert Lifecycle("fast", stages=[Stage("DEV"), Stage("PROD")]).digest == (
        "sha256:aed164e0de78446b5b86bdaa16bbd96321ca437744e1ad132ecfb4265651fd4a"
    )
    assert Policy("PROD").digest == "sha256:7f144e352e18a859de0c22d2635f19df31f3216ff1e03f002ac199e543ce41c0"


_TEXT = "tag:yaml.org,2002:str"


def _shuffled(written: Any, order: random.Random) -> Any:
    """The same data with the keys of each mapping in another order."""
    if isinstance(written, dict):
        keys = order.sample(sorted(written), len(written))
        return {key: _shuffled(written[key], order) for key in keys}
    return [_shuffled(item, order) for item in written] if isinstance(written, list) else written


def _read(model: type[Spec], file: Path) -> Spec:
    documents, problems = read_documents(file)
    assert not problems
    return model.model_validate(documents[0].value)


@given(kinds_and_specs(), st.randoms(use_true_random=False), st.booleans(), st.sampled_from(["'", '"']))
def test_key_order_and_formatting_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    kind_and_spec: tuple[str, Written],
    order: random.Random,
    flow: bool,
    quote: str,
) -> None:
    class Dumper(yaml.SafeDumper):
        """Puts texts in the drawn quotes."""

    Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(_TEXT, text, style=quote))
    kind, written = kind_and_spec
    text = yaml.dump(_shuffled(written, order), Dumper=Dumper, default_flow_style=flow, sort_keys=False)
    file = tmp_path_factory.getbasetemp() / "formatted.yaml"
    file.write_text(f"# comment\n\n{text}", encoding="utf-8")

    assert _read(MODELS[kind], file).digest == MODELS[kind].model_validate(written).digest


@given(kinds_and_specs())
def test_defaults_spelled_out_or_not_do_not_matter(kind_and_spec: tuple[str, Written]) -> None:
    kind, written = kind_and_spec
    spec = MODELS[kind].model_validate(written)

    spelled_out = MODELS[kind].model_validate(spec.model_dump(mode="json"))
    left_out = MODELS[kind].model_validate(spec.model_dump(mode="json", exclude_defaults=True))
    assert spelled_out.digest == spec.digest
    assert left_out.digest == spec.digest


@given(kinds_and_specs().flatmap(lambda pair: st.tuples(st.just(pair), mutations(pair[1]))))
def test_another_meaning_has_another_digest(changed: tuple[tuple[str, Written], Any]) -> None:
    (kind, written), other = changed
    spec = MODELS[kind].model_validate(written)
    try:
        other_spec = MODELS[kind].model_validate(other)
    except ValueError:
        return  # not a good file any more
    assert (other_spec == spec) == (other_spec.digest == spec.digest)
