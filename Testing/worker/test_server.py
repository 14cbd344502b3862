"""The worker's end of the conversation, in this process."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest
from paths import ROOT, SUPPORT

from SpinalTapLib.errors import sentence_for_exit
from SpinalTapLib.worker.server import Worker, parsed


def test_lines_that_are_no_request_are_noted_and_skipped(caplog):
    caplog.set_level(logging.WARNING, "SpinalTapLib.worker.server")  # a command may have made the library quieter
    lines = ["{not json\n", "\n", '{"id": 1}\n', "7\n", "\ufffd\n", '{"id": 2}\n']
    assert [request["id"] for request in parsed(lines)] == [1, 2]
    assert caplog.text.count("that is not a request") == 3


def test_a_process_that_reads_a_broken_line_answers_the_next_one_and_ends_with_its_input(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{SUPPORT}")
    lines = b'{"id": 1, "comm\n\xff\xfe\n' + json.dumps({"id": 2, "command": "warm", "folder": None}).encode() + b"\n"
    command = [sys.executable, "-m", "SpinalTapLib.worker", "--road", "accidents"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    process.stdin.write(lines)
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"id": 2, "event": "done", "answer": None}
    process.stdin.close()
    process.wait(300)


@pytest.mark.parametrize("request_", [{"id": 3, "command": "sing"}, {"id": 3}, {"id": 3, "command": []}])
def test_a_request_that_makes_no_sense_fails_with_a_sentence(request_):
    out = io.StringIO()
    Worker("accidents", out).work(request_)
    message = json.loads(out.getvalue())
    assert (message["id"], message["event"]) == (3, "failed") and message["sentence"]


def test_every_exit_has_its_sentence():
    assert "signal 9" in sentence_for_exit(-9)
    assert "signal 11" in sentence_for_exit(-11)
    assert "exit code 1" in sentence_for_exit(1)
