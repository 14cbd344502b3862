"""spinaltap review: what it needs, what it refuses, and the address that it prints."""

from __future__ import annotations

import re
import sys

import pytest

from SpinalTapLib.cli.main import main


@pytest.fixture
def server(monkeypatch):
    """Replace the wait for Ctrl+C; return the class of the server and the list of the ones that ran."""
    serve = pytest.importorskip("SpinalTapLib.review.serve", reason="the review needs the extra [review]")
    ran = []
    monkeypatch.setattr(serve.Server, "run", lambda server: ran.append(server))
    monkeypatch.setattr(serve, "open_browser", lambda address: ran.append(address))
    return serve.Server, ran


def test_a_folder_without_results_is_bad_input(server, tmp_path, capsys):
    assert main(["review", str(tmp_path)]) == 2
    assert "There is no result (spine.json) in" in capsys.readouterr().err


def test_without_its_packages_the_review_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert main(["review", str(tmp_path)]) == 2
    assert 'pip install "SpinalTapLib[review]"' in capsys.readouterr().err


def test_each_review_has_a_port_and_a_secret_of_its_own_on_this_computer_alone(server, tmp_path, capsys):
    (tmp_path / "spine.json").write_text("{}")
    addresses = []
    for more in (["--no-browser"], ["--reader", "Dr Reader"]):
        assert main(["review", str(tmp_path), *more]) == 0
        addresses.append(capsys.readouterr().out.strip())
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address) for address in addresses)
    assert addresses[0].split("/")[3] != addresses[1].split("/")[3]
    _, ran = server
    assert [each for each in ran if isinstance(each, str)] == addresses[1:]


@pytest.mark.parametrize("port", ["-1", "99999"])
def test_a_port_that_cannot_be_used_is_bad_input(server, tmp_path, capsys, port):
    (tmp_path / "spine.json").write_text("{}")
    assert main(["review", str(tmp_path), f"--port={port}"]) == 2
    assert f"Port {port} cannot be used" in capsys.readouterr().err
