import re
import subprocess
import sys

import pytest

from petseg import cli
from petseg.models import zoo


@pytest.mark.parametrize("arguments", [["segment"], ["segment", "a.jpg"], ["nonsense"], ["data", "elephants"], []])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_unknown_model_is_one_sentence(capsys):
    assert cli.main(["segment", "figures/chelsea.jpg", "--out", "out", "--model", "resnet"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "resnet: no released model has this name" in error


def test_a_missing_data_set_is_one_sentence_for_training_too(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["fit", "--data.data_dir", str(tmp_path), "--trainer.accelerator", "cpu"]) == 1
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("petseg: ")]
    assert "petseg data oxford" in sentence


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    listed = re.findall(r"^ {4}([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    assert {"segment", "data", "models", "fit", "validate", "test", "release", "export", "app", "bench"} <= {*listed}


def test_help_does_not_load_pytorch():
    code = "from petseg import cli; cli._parser(); import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_models_lists_every_released_model_with_its_score(capsys):
    assert cli.main(["models"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert all(f"{card.scores['test']['mean_iou']:.4f}" in rows[card.name] for card in zoo.cards())


def test_models_says_of_a_model_without_test_scores_that_it_has_none(small_model, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "WEIGHTS", small_model.parent)
    assert cli.main(["models"]) == 0
    row, note = capsys.readouterr().out.splitlines()[1:3]
    assert row.split()[0] == "small"
    assert row.split()[2:] == ["-"] * 4
    assert note.strip() == "not scored on the test split"


def test_data_cartoon_draws_and_says_what_is_there(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("petseg.files.checkout", lambda: tmp_path / "own")
    assert cli.main(["data", "cartoon", "--dir", str(tmp_path)]) == 0
    assert "train" in capsys.readouterr().out
    assert (tmp_path / "cartoon" / "oxford-iiit-pet" / "annotations" / "test.txt").is_file()


def test_data_oxford_fetches_what_is_missing_before_it_decodes(cartoons, monkeypatch, capsys):
    fetched = []
    monkeypatch.setattr("petseg.data.download.fetch_oxford", fetched.append)
    assert cli.main(["data", "oxford", "--dir", str(cartoons)]) == 0
    assert fetched == [cartoons]
    assert "oxford: " in capsys.readouterr().out


def test_models_with_a_name_prints_that_card(capsys):
    assert cli.main(["models", "unet-separable"]) == 0
    assert "1,517,854" in capsys.readouterr().out


@pytest.mark.parametrize(("flags", "half"), [([], False), (["--half"], True)])
def test_export_writes_the_precision_that_was_asked_for(small_model, tmp_path, monkeypatch, flags, half, capsys):
    written = []
    export = lambda model, out, half: written.append((model, half)) or out.write_bytes(b"onnx")  # noqa: E731
    monkeypatch.setattr("petseg.inference.onnx.export_onnx", export)
    assert cli.main(["export", "--out", str(tmp_path / "a.onnx"), "--model", str(small_model), *flags]) == 0
    assert written == [(str(small_model), half)]
    assert "a.onnx: 0.0 MB" in capsys.readouterr().out
