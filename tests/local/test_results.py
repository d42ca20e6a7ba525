"""A solver's files are not trusted: whatever is in them, there is a verdict or a reason, never an exception."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridjob.contract.files import sha256_digest
from hybridjob.contract.verdict import Payload, Sample, Verdict
from hybridjob.local.results import MAX_PAYLOAD_BYTES, PAYLOAD_NAME, VERDICT_NAME, read_result
from support.build import UID, verdict

SAMPLES = [Sample(solution=f"{n:03b}", objective=float(-n), feasible=True, count=1) for n in range(8)] * 4
PAYLOAD = Payload(job_uid=UID, attempt=1, samples=SAMPLES).model_dump_json(by_alias=True).encode()


def write(directory: Path, result: Verdict, payload: bytes = PAYLOAD) -> None:
    signed = result.model_copy(update={"payload_digest": sha256_digest(PAYLOAD)})
    (directory / VERDICT_NAME).write_text(signed.model_dump_json(by_alias=True))
    (directory / PAYLOAD_NAME).write_bytes(payload)


def test_a_good_result_is_read_with_its_best_samples(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    result = read_result(tmp_path, UID, 1)
    assert result.verdict is not None
    assert result.error is None
    assert len(result.top) == 16
    assert result.reference == str(tmp_path / PAYLOAD_NAME)


def test_nothing_written_is_a_reason(tmp_path: Path) -> None:
    assert "cannot be read" in (read_result(tmp_path, UID, 1).error or "")


def test_the_verdict_of_another_attempt_is_refused(tmp_path: Path) -> None:
    write(tmp_path, verdict(attempt=2))
    assert "attempt 2" in (read_result(tmp_path, UID, 1).error or "")


@pytest.mark.parametrize("payload", [b"", PAYLOAD[:-1], PAYLOAD + b" "])
def test_a_payload_that_does_not_match_its_digest_is_refused(tmp_path: Path, payload: bytes) -> None:
    write(tmp_path, verdict(), payload)
    assert "digest" in (read_result(tmp_path, UID, 1).error or "")


def test_a_missing_payload_is_refused(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    (tmp_path / PAYLOAD_NAME).unlink()
    assert PAYLOAD_NAME in (read_result(tmp_path, UID, 1).error or "")


def test_files_that_are_too_large_are_not_read_whole(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    with (tmp_path / PAYLOAD_NAME).open("r+b") as file:
        file.truncate(MAX_PAYLOAD_BYTES + 1)
    assert "more than" in (read_result(tmp_path, UID, 1).error or "")
    (tmp_path / VERDICT_NAME).write_bytes(b"{" + b" " * 5000 + b"}")
    assert "more than 4096 bytes" in (read_result(tmp_path, UID, 1).error or "")


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_garbage_is_a_reason(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    directory = tmp_path_factory.mktemp("attempt")
    (directory / VERDICT_NAME).write_bytes(content)
    result = read_result(directory, UID, 1)
    assert result.verdict is None
    assert result.error
