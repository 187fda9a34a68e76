import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml

from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError
from petseg.files import read_json
from petseg.metrics.confusion import SCORES
from petseg.models.architectures import UNetWithoutSkips
from petseg.models.device import processor
from petseg.models.unet import UNet
from petseg.training.checkpoints import last_epoch
from petseg.training.recipes import stages
from petseg.training.runs import read_log, read_logs
from petseg.training.task import SegmentationTask
from petseg.upkeep.ablation import runs
from petseg.upkeep.ablation.__main__ import main
from petseg.upkeep.ablation.compare import collected, noise
from petseg.upkeep.ablation.cost import measure_cost
from petseg.upkeep.ablation.plan import LONG, merged, read_plan
from petseg.upkeep.ablation.plan import PLAN as SHORT
from petseg.upkeep.ablation.records import Records

CHECKOUT = Path(__file__).resolve().parents[2]

#: A base of six epochs that a CPU trains in a second; 36 pixels, so that no other test's cache is meant.
PLAN = {
    "recipe": {
        "trainer": {
            "max_epochs": 6,
            "check_val_every_n_epoch": 1,
            "accelerator": "cpu",
            "precision": "32-true",
            "enable_model_summary": False,
            "callbacks": [{"class_path": "petseg.training.callbacks.EpochSeeds"}],
        },
        "data": {"image_size": 36, "batch_size": 8, "progress": False},
        "model": {"channels": [4, 8], "learning_rate": 1e-2},
        "average": {"decay": 0.9},
        "weights": None,
    },
    "seeds": [1, 2],
    "variants": [
        {"name": "no-skips", "change": "no skip connections", "settings": {"model": {"skips": False}}},
        {"name": "no-averaging", "change": "no weight averaging", "weights": "raw"},
    ],
}


def plan_file(folder: Path, **changes) -> Path:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    return path


def summary(run, mean_iou: float, raw: float = 0.5, **more) -> dict:
    scores = dict.fromkeys(SCORES, 0.6)
    return {
        "name": run.name,
        "change": run.change,
        "settings": run.settings,
        "seed": run.recipe["seed_everything"],
        "epochs": 2,
        "seconds": 240,
        "host": "2 CPU threads, bf16-mixed",
        "val": {"averaged": {**scores, "mean_iou": mean_iou}, "raw": {**scores, "mean_iou": raw}},
        "cost": {"parameters": 1_000, "multiply_adds": 2_000_000_000, "milliseconds": 3.21, "machine": "a CPU"},
        **more,
    }


def records_in(folder: Path, plan) -> Records:
    return Records(plan, folder / "ablation.json", folder / "ablation.csv")


def by_name(*found) -> dict:
    return {one["name"]: one for one in found}


@pytest.fixture
def plan(tmp_path):
    return read_plan(plan_file(tmp_path))


@pytest.fixture(scope="module")
def trained(cartoons, tmp_path_factory):
    """The base, killed once its first epoch was saved and then finished, and the variant without skips."""
    root = tmp_path_factory.mktemp("ablation")
    plan = read_plan(plan_file(root))
    base, variant = plan.base[0], plan.variants[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PETSEG_DATA_DIR", str(cartoons))
        patch.setenv("PETSEG_CACHE_DIR", str(root / "cache"))
        folder = root / "work" / f"{base.name}-{base.fingerprint}"
        program, *arguments = shlex.split(runs.command(base, folder))
        assert program == "petseg"
        process = subprocess.Popen([sys.executable, "-m", "petseg.cli", *arguments], cwd=folder)
        end = time.monotonic() + 400
        while not last_epoch(folder / "runs")[1]:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
        process.wait()
        stopped = last_epoch(folder / "runs")
        for run in (base, variant):
            runs.train(run, root / "work", records_in(root, plan))
    yield root, plan, stopped
    shutil.rmtree(root)


def test_a_run_that_was_killed_goes_on_where_it_was(trained):
    root, plan, (checkpoint, epochs) = trained
    assert checkpoint.name == "last.ckpt"
    assert 1 <= epochs < 6
    versions = sorted((root / "work" / f"base-{plan.base[0].fingerprint}" / "runs").glob("version_*"))
    assert len(versions) == 2
    log = read_log(versions[1] / "metrics.csv")
    assert [epoch for epoch, _ in log["val/mean_iou"]] == list(range(epochs + 1, 7))


def test_a_record_holds_settings_curves_scores_and_cost_of_the_run(trained):
    root, plan, _ = trained
    found = json.loads((root / "ablation.json").read_text())
    variant = found["variants"][0]
    assert merged({"seed_everything": variant["seed"], **found["recipe"]}, variant["settings"]) == (
        plan.variants[0].recipe
    )
    log = read_logs(root / "ablation.csv")["no-skips"]
    for weights, column in runs.COLUMNS.items():
        assert dict(log[f"{column}/mean_iou"])[6] == pytest.approx(variant["val"][weights]["mean_iou"], rel=1e-4)
    assert (variant["seed"], variant["epochs"]) == (1, 6)
    assert variant["cost"]["parameters"] == sum(p.numel() for p in UNetWithoutSkips(channels=(4, 8)).parameters())
    assert variant["seconds"] >= 0
    assert str(root) not in (root / "ablation.json").read_text() + (root / "ablation.csv").read_text()


def test_the_curves_on_record_join_both_parts_of_a_run_that_was_killed(trained):
    root, _, _ = trained
    log = read_logs(root / "ablation.csv")["base"]
    assert [epoch for epoch, _ in log["val/mean_iou"]] == [1, 2, 3, 4, 5, 6]
    assert [epoch for epoch, _ in log["train/loss"]] == [1, 2, 3, 4, 5, 6]
    assert not [column for column in log if column.startswith("lr-")]


def test_checkpoints_go_once_the_run_is_on_record(trained):
    root, _, _ = trained
    assert list((root / "work").glob("*/runs/*/metrics.csv"))
    assert not list((root / "work").glob("**/*.ckpt"))


def test_a_run_on_record_is_not_trained_again(trained, monkeypatch):
    root, plan, _ = trained
    monkeypatch.setattr(runs, "run_command", lambda *_, **__: pytest.fail("a process was started"))
    assert runs.train(plan.base[0], root / "work", records_in(root, plan))["name"] == "base"


def test_the_record_has_every_run_that_is_done_and_the_list_says_which(trained, capsys):
    root, _, _ = trained
    found = json.loads((root / "ablation.json").read_text())
    assert [run["name"] for run in found["variants"]] == ["no-skips", "no-averaging"]
    assert found["noise"] is None
    flags = ["--plan", root / "plan.yaml", "--out", root / "ablation.json", "--curves", root / "ablation.csv"]
    assert main(["--list", *map(str, flags)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert ["on record" in line for line in listed] == [True, False, True]  # the base, its second seed, the variant


def test_a_training_that_fails_ends_in_what_it_printed_last(tmp_path, monkeypatch):
    monkeypatch.setenv("PETSEG_DATA_DIR", str(tmp_path))
    plan = read_plan(plan_file(tmp_path))
    with pytest.raises(DataError, match=r"(?s)base: the training failed.*trainval\.txt: not there"):
        runs.train(plan.base[0], tmp_path / "work", records_in(tmp_path, plan))
    assert not (tmp_path / "ablation.json").exists()


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path, capsys):
    for version, content in (("version_0", None), ("version_1", b"half")):
        path = tmp_path / "runs" / version / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True)
        if content:
            path.write_bytes(content)
        else:
            torch.save({"epoch": 3, "global_step": 9, "state_dict": {}, "optimizer_states": []}, path)
    assert last_epoch(tmp_path / "runs") == (tmp_path / "runs/version_0/checkpoints/last.ckpt", 4)
    assert "cut off" in capsys.readouterr().out


def test_a_record_of_another_recipe_does_not_count(plan, tmp_path):
    records_in(tmp_path, plan).keep(summary(plan.base[0], 0.6))
    assert list(records_in(tmp_path, plan).summaries()) == ["base"]
    longer = plan_file(tmp_path, recipe=merged(PLAN["recipe"], {"trainer": {"max_epochs": 8}}))
    assert records_in(tmp_path, read_plan(longer)).summaries() == {}


@pytest.mark.parametrize("damage", ["{", "[]", '{"base": 1}', "null"])
def test_a_damaged_record_is_one_sentence(plan, tmp_path, damage):
    (tmp_path / "ablation.json").write_text(damage)
    with pytest.raises(DataError, match=r"ablation\.json: damaged .*Restore it from git") as error:
        records_in(tmp_path, plan).summaries()
    assert "\n" not in str(error.value)


def test_a_summary_without_a_finite_score_is_damaged(plan, tmp_path):
    records_in(tmp_path, plan).keep(summary(plan.base[0], float("nan")))
    with pytest.raises(DataError, match="base: a score is not a finite number"):
        records_in(tmp_path, plan).summaries()


def test_a_run_put_on_record_leaves_the_curves_of_the_others(plan, tmp_path):
    records = records_in(tmp_path, plan)
    for run, loss in zip(plan.base, (0.5, 0.4), strict=True):
        records.keep(summary(run, 0.6), {"val/loss": [(1, loss)], "lr-AdamW": [(1, 0.1)]})
    records.keep(summary(plan.base[0], 0.7))  # timed again: its curves stay
    assert read_logs(tmp_path / "ablation.csv") == {
        "base": {"val/loss": [(1, 0.5)]},
        "base-seed-2": {"val/loss": [(1, 0.4)]},
    }
    assert records.summaries()["base"]["val"]["averaged"]["mean_iou"] == 0.7


def test_curves_that_are_missing_are_one_sentence_and_nothing_is_lost(plan, tmp_path):
    records = records_in(tmp_path, plan)
    records.keep(summary(plan.base[0], 0.6), {"val/loss": [(1, 0.5)]})
    (tmp_path / "ablation.csv").unlink()
    with pytest.raises(DataError, match=r"ablation\.csv: has no curves of base\. Restore it from git"):
        records.keep(summary(plan.base[1], 0.6), {"val/loss": [(1, 0.4)]})
    assert list(records.summaries()) == ["base"]


def test_the_curves_of_another_record_lie_beside_it(tmp_path, monkeypatch):
    seen: list[Path] = []
    monkeypatch.setattr(runs, "train", lambda run, work, records: seen.append(records.curves))
    assert main(["base", "--plan", str(plan_file(tmp_path)), "--out", str(tmp_path / "a.json")]) == 0
    assert seen == [tmp_path / "a.csv"]


def test_noise_is_that_of_a_run_against_the_mean_of_the_seeds():
    found = noise([0.60, 0.61, 0.62])
    difference = (1 + 1 / 3) ** 0.5
    assert found == pytest.approx(
        {"mean": 0.61, "seeds": 1.0, "difference": difference, "limit": 4.3027 * difference}, rel=1e-4
    )  # 4.3027: Student's t of two degrees of freedom, from a printed table
    assert noise([0.6]) is None


def test_points_are_hundredths_above_the_mean_of_the_base_and_their_limit_is_that_of_chance(plan):
    base = [summary(run, score) for run, score in zip(plan.base, (0.60, 0.61), strict=True)]
    found = collected(plan, by_name(*base, summary(plan.variants[0], 0.5)))
    assert found["variants"][0]["points"] == pytest.approx(-10.5)
    # 12.7062 (Student's t of one degree of freedom) * 0.7071 * sqrt(1.5)
    assert found["variants"][0]["limit"] == found["noise"]["limit"] == pytest.approx(11.004, abs=1e-3)


def test_raw_weights_are_compared_with_the_averaged_ones_of_the_same_runs(plan):
    scores = zip(plan.base, (0.60, 0.65), (0.612, 0.6622), strict=True)
    row = collected(plan, by_name(*(summary(run, score, raw) for run, score, raw in scores)))["variants"][-1]
    assert (row["name"], row["score"], row["points"]) == ("no-averaging", 0.6371, 1.21)
    assert row["limit"] == pytest.approx(0.12706, abs=1e-4)  # 12.7062 * 0.01414 / sqrt(2): gains of 1.20 and 1.22


def test_raw_weights_of_one_run_alone_say_nothing_of_chance(plan):
    row = collected(plan, by_name(summary(plan.base[0], 0.6, raw=0.61)))["variants"][0]
    assert (row["points"], row["limit"]) == (1.0, None)


def test_what_is_not_on_record_is_left_out(plan):
    assert [run["name"] for run in collected(plan, by_name(summary(plan.base[0], 0.6)))["variants"]] == ["no-averaging"]
    assert collected(plan, {})["variants"] == []


def test_cost_counts_and_times_and_leaves_threads_and_mode_as_they_were():
    network, threads = UNet(channels=(4, 8)), torch.get_num_threads()
    found = measure_cost(network, size=16, repeats=3)
    assert found["parameters"] == sum(p.numel() for p in network.parameters())
    assert found["milliseconds"] > 0
    assert found["machine"].startswith(f"{processor()}, 2 CPU threads, fp32")
    assert measure_cost(network, size=32, repeats=1)["multiply_adds"] == 4 * found["multiply_adds"]
    assert network.training
    assert torch.get_num_threads() == threads


def test_sections_are_merged_and_lists_replaced():
    base = {"model": {"channels": [1, 2], "separable": False}, "average": {"decay": 0.9}}
    assert merged(base, {"model": {"channels": [3]}}) == {
        "model": {"channels": [3], "separable": False},
        "average": {"decay": 0.9},
    }
    assert base["model"]["channels"] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seeds": []}, "cannot be read"),
        ({"recipe": None}, "cannot be read"),
        ({"variants": [{"name": "a"}]}, "cannot be read"),
        ({"variants": [{"name": "a", "change": "b"}]}, "its recipe is that of the base"),
        ({"variants": [{"name": "base", "change": "b", "weights": "raw"}]}, "two runs have this name"),
        ({"variants": [{"name": "../a", "change": "b", "weights": "raw"}]}, "a name is letters and digits"),
        ({"variants": [{"name": "a", "change": "b", "weights": "best"}]}, "must be averaged or raw"),
        (
            {"variants": [{"name": "a", "change": "b", "weights": "raw", "settings": {"x": 1}}]},
            "no settings of its own",
        ),
        (
            {"variants": [{"name": "a", "change": "b", "settings": {"trainer": {"check_val_every_n_epoch": 4}}}]},
            "its last epoch is not scored",
        ),
    ],
)
def test_a_plan_that_cannot_be_right_is_refused_in_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(DataError, match=rf"plan\.yaml: .*{re.escape(sentence)}"):
        read_plan(plan_file(tmp_path, **changes))


def test_an_unknown_name_is_one_sentence(tmp_path, capsys):
    assert main(["nonsense", "--plan", str(plan_file(tmp_path)), "--out", str(tmp_path / "a.json")]) == 1
    assert capsys.readouterr().err.startswith("petseg: nonsense: no run has this name. There are base, base-seed-2,")


def test_a_run_whose_package_is_missing_is_left_out_and_said_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runs, "train", lambda *_: pytest.fail("it was trained"))
    variants = [{"name": "a", "change": "b", "needs": "no_such_package", "settings": {"average": {"decay": 0.5}}}]
    path = plan_file(tmp_path, variants=variants)
    assert main(["a", "--plan", str(path), "--out", str(tmp_path / "a.json")]) == 0
    assert "left out: it needs no_such_package" in capsys.readouterr().out


@pytest.mark.parametrize("path", [SHORT, LONG])
def test_seeds_of_the_published_base_share_no_epoch(path):
    first, *others = read_plan(path).base
    seeds = [run.recipe["seed_everything"] for run in (first, *others)]
    epochs = {seed + epoch for seed in seeds for epoch in range(first.epochs)}
    assert len(epochs) == len(seeds) * first.epochs


@pytest.mark.parametrize("path", [SHORT, LONG])
def test_the_published_plan_gives_every_run_but_the_seeds_one_seed_and_builds_every_unet(path):
    plan = read_plan(path)
    assert len({run.recipe["seed_everything"] for run in plan.base}) == len(plan.base) >= 3
    assert {run.recipe["seed_everything"] for run in plan.variants} == {plan.base[0].recipe["seed_everything"]}
    known = set(SegmentationTask.__init__.__annotations__)
    for run in plan.trained:
        model = run.recipe["model"]
        assert set(model) <= known
        if model["encoder"] is None:
            SegmentationTask(**{key: value for key, value in model.items() if key != "augment"})
        PetDataModule(**run.recipe["data"])


def test_the_long_runs_are_chosen_by_a_flag_and_have_their_own_record(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(Records, "summaries", lambda self: asked.append((self.measured.name, self.curves.name)) or {})
    for flags, name in ((["--long"], "full-geometry"), ([], "imagenet")):
        assert main([*flags, "--list"]) == 0
        assert name in capsys.readouterr().out
    assert asked == [("ablation-long.json", "ablation-long.csv"), ("ablation.json", "ablation.csv")]


def test_the_long_runs_take_an_hour_and_a_half_of_one_core():
    seconds = {64: 0.12, 96: 0.22, 128: 0.39}  # per step of 16 images
    steps, minutes = 42, 0.0
    for run in read_plan(LONG).trained:
        starts = [start for start, _ in stages(run.recipe)] + [run.epochs + 1]
        sides = [side for _, side in stages(run.recipe)]
        epochs = [end - start for start, end in pairwise(starts)]
        minutes += steps * sum(n * seconds[side] for n, side in zip(epochs, sides, strict=True)) / 60
    assert 75 < minutes < 95


@pytest.mark.parametrize("path", [SHORT, LONG])
def test_what_is_published_follows_from_what_was_measured(path):
    figures, name = CHECKOUT / "figures", "ablation-long" if path == LONG else "ablation"
    records = Records(read_plan(path), figures / f"{name}.json", figures / "runs" / f"{name}.csv")
    summaries = records.summaries()
    assert list(summaries) == [run.name for run in records.plan.trained]
    assert read_json(records.measured) == collected(records.plan, summaries)
    curves = read_logs(records.curves)
    for name, found in summaries.items():
        for weights, column in runs.COLUMNS.items():
            last = dict(curves[name][f"{column}/mean_iou"])[found["epochs"]]
            assert last == pytest.approx(found["val"][weights]["mean_iou"], abs=1e-5), name
