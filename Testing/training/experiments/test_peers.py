"""The comparison with other networks: what is compared, and what is counted."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from block_spine import BlockSpine
from torch import nn

from SpinalTapLib.cli.main import main
from SpinalTapLib.training.experiments import peers
from SpinalTapLib.training.experiments.peers import Peer, ResNetUNet, compare, patches, peers_for, peers_table
from SpinalTapLib.training.experiments.speed_pictures import write_peers

TINY = (
    Peer("ours", lambda: nn.Conv2d(1, 2, 3, padding=1, bias=False), (2, 1, 8, 8), 10),
    Peer("another", lambda: nn.Conv3d(1, 4, 3, padding=1, bias=False), (1, 1, 8, 8, 8), 3),
)


def test_the_2d_network_has_the_published_size_and_answers_at_full_size():
    with torch.device("meta"):
        network = ResNetUNet()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(139.4e6, rel=0.005)
    with torch.inference_mode():
        assert ResNetUNet(width=4).eval()(torch.zeros(1, 1, 72, 40)).shape == (1, 13, 72, 40)


def test_the_3d_network_is_built_by_its_library():
    pytest.importorskip("dynamic_network_architectures")
    with torch.device("meta"):
        assert peers.residual_encoder()(torch.zeros(1, 1, 64, 64, 64)).shape == (1, 2, 64, 64, 64)


def test_the_lack_of_its_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures.architectures.unet", None)
    with pytest.raises(ValueError, match=r"SpinalTapLib\[benchmark\]"):
        peers.residual_encoder()


@pytest.mark.parametrize(("size", "count"), [((60, 100, 192), 1), ((60, 193, 100), 2), ((64, 281, 308), 6)])
def test_patches_overlap_by_half_and_cover_the_scan(size, count):
    assert patches(size) == count


def test_operations_are_counted_and_times_are_those_of_all_passes():
    ours, other = compare(TINY, rate=100.0, repeats=1)
    assert ours.gflop == pytest.approx(10 * 2 * 2 * 9 * 2 * 64e-9) and ours.parameters == 18
    assert other.gflop == pytest.approx(3 * 2 * 4 * 27 * 512e-9)
    assert ours.share == pytest.approx(ours.gflop / ours.seconds / 100)


def test_every_peer_gets_the_tiles_or_the_volume_of_the_scan():
    ours, flat, solid = peers_for(BlockSpine(3).volume())
    assert ours.passes == flat.passes == 3.5 and solid.passes == 1  # seven slices of one tile, two at a time
    assert ours.shape[2:] == flat.shape[2:] == (138, 100)


def test_the_command_prints_the_table_or_json_and_draws(tmp_path, scan_file, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(peers, "peers_for", lambda volume: TINY)
    monkeypatch.setattr(peers, "matrix_rate", lambda: 50.0)
    arguments = ["benchmark", "peers", "--scan", str(scan_file), "--repeats", "1"]
    assert main([*arguments, "--picture", str(tmp_path / "peers.png")]) == 0
    assert "| another | 0.0 |" in capsys.readouterr().out and (tmp_path / "peers.png").stat().st_size > 3000
    assert main([*arguments, "--json"]) == 0
    assert [peer["name"] for peer in json.loads(capsys.readouterr().out)["peers"]] == ["ours", "another"]
    assert main(["benchmark", "segment", "--picture", "x.png"]) == 2
    assert "--picture goes with peers or scaling" in capsys.readouterr().err


@pytest.fixture
def scan_file(tmp_path):
    import SimpleITK as sitk

    volume = BlockSpine(1).volume()
    sitk.WriteImage(volume.to_source(volume.array), str(tmp_path / "scan.nii.gz"))
    return tmp_path / "scan.nii.gz"


def test_a_picture_that_cannot_be_written_is_told(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="Could not write the picture"):
        write_peers(compare(TINY[:1], 1.0, 1), tmp_path / "none" / "x.png")


def test_the_table_compares_with_ours():
    slow = peers.PeerTiming("slow", 2_000_000, 30.0, 6.0, 0.5)
    table = peers_table([peers.PeerTiming("ours", 1_000_000, 10.0, 2.0, 0.6), slow], 80.0)
    assert "| slow | 2.0 | 30 | 6.00 | 3.0 | 50% |" in table and "80 GFLOP/s" in table
