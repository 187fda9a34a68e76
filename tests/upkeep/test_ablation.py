"""`make ablation`: its table of changes, a run of it, and the comparison with the noise of the seeds."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from petseg import cli
from petseg.errors import DataError
from petseg.metrics.confusion import SCORES
from petseg.models import pretrained
from petseg.training import fit
from petseg.training.runs import read_logs
from petseg.upkeep import ablation, reproduce
from petseg.upkeep.ablation import NoSkips, collected, main, noise, on_record, read_plan

CHECKOUT = Path(__file__).resolve().parents[2]

#: A plan that a CPU trains in seconds.
TRAINER = {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true", "limit_train_batches": 2}
NETWORK = {"class_path": "petseg.models.unet.UNet", "init_args": {"channels": [4, 8]}}
RECIPE = {
    "trainer": {**TRAINER, "enable_model_summary": False},
    "data": {"image_size": 32, "batch_size": 8, "progress": False},
    "model": {"network": NETWORK, "learning_rate": 1e-2},
    "average": {"decay": 0.9},
}
CHANGES = [
    ["no-skips", "no skip connections", "--model.network petseg.upkeep.ablation.NoSkips"],
    ["cross-entropy", "cross-entropy alone", "--model.dice_weight 0"],
]


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({"short": {"recipe": RECIPE, "seeds": [1, 1001], "changes": CHANGES}}))
    return read_plan("short", path)


def collected_scores(plan, **scores: float) -> dict:
    summaries = {}
    for run in (*plan.base, *plan.changes):
        if (key := run.name.replace("-", "_")) in scores:
            val = {"averaged": {**dict.fromkeys(SCORES, 0.6), "mean_iou": scores[key]}}
            summaries[run.name] = {"name": run.name, "change": run.change, "settings": run.flags, "val": val}
    return collected(plan, summaries)


@pytest.mark.slow
def test_a_run_is_recorded_with_settings_scores_cost_and_curves_and_not_trained_again(
    plan, cartoons, tmp_path, monkeypatch
):
    record, curves, run = tmp_path / "ablation.json", tmp_path / "ablation.csv", plan.changes[0]
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))
    monkeypatch.setattr(reproduce, "petseg", lambda name, *arguments: cli.main(arguments))
    assert ablation.work([run], plan, record, curves, tmp_path) == 0
    (found,) = json.loads(record.read_text())["variants"]
    assert (found["name"], found["change"], found["epochs"]) == ("no-skips", "no skip connections", 2)
    assert found["settings"] == "--seed_everything 1 --model.network petseg.upkeep.ablation.NoSkips"
    log = read_logs(curves)["no-skips"]
    assert dict(log["val/mean_iou"])[2] == pytest.approx(found["val"]["averaged"]["mean_iou"], rel=1e-4)
    assert not [column for column in log if column.startswith("lr-")]
    assert found["cost"]["parameters"] == sum(p.numel() for p in NoSkips(channels=(4, 8)).parameters())
    assert found["cost"]["multiply_adds"] > found["cost"]["parameters"]
    assert str(tmp_path) not in record.read_text() + curves.read_text()
    assert not list(tmp_path.glob("**/*.ckpt"))
    monkeypatch.setattr(ablation, "trained", lambda *_: pytest.fail("trained again"))
    assert ablation.work([run], plan, record, curves, tmp_path) == 0


def test_a_record_of_another_recipe_is_not_continued_and_not_overwritten(plan, tmp_path):
    record = tmp_path / "ablation.json"
    record.write_text(json.dumps(collected_scores(plan, base=0.6) | {"recipe": {"trainer": {"max_epochs": 8}}}))
    with pytest.raises(DataError, match=r"ablation\.json: holds runs of another recipe\. Move it away"):
        on_record(plan, record)


def test_a_run_that_fails_is_one_sentence_and_the_others_are_trained(plan, tmp_path, monkeypatch, capsys):
    def trains(run, plan, folder):
        if run.name == "base":
            raise DataError("base: petseg fit failed.")
        (entry,) = collected_scores(plan, **{run.name.replace("-", "_"): 0.5})["variants"]
        return entry, {"val/loss": [(1, 0.5)]}

    monkeypatch.setattr(ablation, "trained", trains)
    record, curves = tmp_path / "ablation.json", tmp_path / "ablation.csv"
    assert ablation.work([plan.base[0], *plan.changes], plan, record, curves, tmp_path) == 1
    assert capsys.readouterr().err == "petseg: base: petseg fit failed.\n"
    assert list(on_record(plan, record)) == list(read_logs(curves)) == ["no-skips", "cross-entropy"]


def test_noise_is_that_of_a_run_against_the_mean_of_the_seeds():
    difference = (1 + 1 / 3) ** 0.5
    assert noise([0.60, 0.61, 0.62]) == pytest.approx(
        {"mean": 0.61, "seeds": 1.0, "difference": difference, "limit": 4.3027 * difference}, rel=1e-4
    )  # 4.3027: Student's t of two degrees of freedom, from a printed table


def test_points_are_hundredths_above_the_mean_of_the_base_and_one_seed_says_nothing_of_chance(plan):
    record = collected_scores(plan, base=0.60, base_seed_2=0.61, no_skips=0.5)
    (change,) = record["variants"]
    assert (change["score"], change["points"]) == (0.5, pytest.approx(-10.5))
    assert change["limit"] == record["noise"]["limit"] == noise([0.60, 0.61])["limit"]
    alone = collected_scores(plan, base=0.6, no_skips=0.5)
    assert alone["noise"] is alone["variants"][0]["limit"] is None


def test_without_skips_the_decoder_sees_only_the_bottleneck():
    network, image = NoSkips(channels=(4, 8)).eval(), torch.rand(1, 3, 16, 16)
    network.bottleneck.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    assert torch.equal(network(image), network(torch.zeros_like(image)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["short", "long"])
def test_every_run_of_the_published_plans_is_one_that_petseg_fit_takes(name, tmp_path, monkeypatch):
    plan = read_plan(name)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(plan.recipe))
    parsers: list[Any] = []
    monkeypatch.setattr(fit.PetCLI, "parse_arguments", lambda cli, parser, args: parsers.append(parser) or 1 / 0)
    with pytest.raises(ZeroDivisionError):  # once the parser is made, which takes longest
        fit.run(["fit", "--config", str(recipe)])
    runs = [run for run in (*plan.base, *plan.changes) if pretrained.installed() or "pretrained" not in run.flags]
    settings = [
        parsers[0].parse_args(["fit", "--config", str(recipe), *shlex.split(run.flags)]).as_dict() for run in runs
    ]
    assert all(one != other for n, one in enumerate(settings) for other in settings[:n])  # each changes something
    n = plan.recipe["trainer"]["max_epochs"]
    assert n % plan.recipe["trainer"]["check_val_every_n_epoch"] == 0
    seeds = [int(run.flags.split()[1]) for run in plan.base]
    assert len({seed + epoch for seed in seeds for epoch in range(n)}) == len(seeds) * n  # they share no epoch


@pytest.mark.parametrize(("name", "plan"), [("ablation", "short"), ("ablation-long", "long")])
def test_what_is_published_follows_from_what_was_measured_and_can_be_continued(name, plan):
    record = CHECKOUT / "figures" / f"{name}.json"
    found = json.loads(record.read_text())
    curves = read_logs(CHECKOUT / "figures" / "runs" / f"{name}.csv")
    base = [run["val"]["averaged"]["mean_iou"] for run in found["base"]]
    assert noise(base) == found["noise"]
    for run in (run for run in [*found["base"], *found["variants"]] if run["name"] in curves):
        last = dict(curves[run["name"]]["val/mean_iou"])[run["epochs"]]
        assert last == pytest.approx(run["val"]["averaged"]["mean_iou"], abs=1e-5)
    assert on_record(read_plan(plan), record).keys() == {run["name"] for run in [*found["base"], *found["variants"]]}
    for run in (run for run in found["variants"] if not run.get("paired")):
        assert run["points"] == pytest.approx(100 * (run["score"] - sum(base) / len(base)), abs=1e-3)


def test_an_unknown_name_is_one_sentence(tmp_path, capsys):
    assert main(["nonsense", "--out", str(tmp_path / "a.json")]) == 1
    assert capsys.readouterr().err.startswith("petseg: nonsense: no run has this name. There are base, base-seed-2,")
