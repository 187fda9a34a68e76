import csv
import json
import re
import shutil
import time
from pathlib import Path

import pytest
import torch
import yaml

from petseg import course
from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError
from petseg.models.device import processor
from petseg.models.unet import UNet
from petseg.training.recipes import yaml_file
from petseg.training.runs import last_epoch, read_log
from petseg.training.task import SegmentationTask
from petseg.upkeep.ablation import runs
from petseg.upkeep.ablation.__main__ import main
from petseg.upkeep.ablation.cost import measure_cost
from petseg.upkeep.ablation.plan import merged, read_plan
from petseg.upkeep.ablation.table import README_MARKS, ablation_table, collected, noise
from petseg.upkeep.results import between_marks

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
    scores = dict.fromkeys(runs.SCORES, 0.6)
    return {
        "name": run.name,
        "change": run.change,
        "recipe": run.fingerprint,
        "seed": 1,
        "epochs": 2,
        "seconds": 240,
        "host": "2 CPU threads, bf16-mixed",
        "val": {"averaged": {**scores, "mean_iou": mean_iou}, "raw": {**scores, "mean_iou": raw}},
        "cost": {"parameters": 1_000, "multiply_adds": 2_000_000_000, "milliseconds": 3.21, "machine": "a CPU"},
        **more,
    }


def put(records: Path, found: dict) -> Path:
    path = records / found["name"] / "summary.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return path


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
        process, end = runs.start(base, folder), time.monotonic() + 400
        while not last_epoch(folder / "runs")[1]:
            assert process.poll() is None, (folder / "output.txt").read_text()
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
        process.wait()
        stopped = last_epoch(folder / "runs")
        for run in (base, variant):
            runs.train(run, root / "work", root / "records")
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


def test_a_record_holds_recipe_log_scores_and_cost_of_the_run(trained):
    root, plan, _ = trained
    record = root / "records" / "no-skips"
    assert {path.name for path in record.iterdir()} == {"config.yaml", "metrics.csv", "summary.json"}
    assert yaml_file(record / "config.yaml") == plan.variants[0].recipe
    found = json.loads((record / "summary.json").read_text())
    log = read_log(record / "metrics.csv")
    for weights, column in runs.COLUMNS.items():
        assert dict(log[f"{column}/mean_iou"])[6] == pytest.approx(found["val"][weights]["mean_iou"], rel=1e-4)
    assert (found["seed"], found["epochs"]) == (1, 6)
    assert found["cost"]["parameters"] == sum(p.numel() for p in UNet(channels=(4, 8), skips=False).parameters())
    assert found["seconds"] >= 0
    assert str(root) not in "".join(path.read_text() for path in record.iterdir())


def test_the_log_on_record_joins_both_parts_of_a_run_that_was_killed(trained):
    root, _, _ = trained
    log = read_log(root / "records" / "base" / "metrics.csv")
    assert [epoch for epoch, _ in log["val/mean_iou"]] == [1, 2, 3, 4, 5, 6]
    assert [epoch for epoch, _ in log["train/loss"]] == [1, 2, 3, 4, 5, 6]


def test_checkpoints_go_once_the_run_is_on_record(trained):
    root, _, _ = trained
    assert list((root / "work").glob("*/runs/*/metrics.csv"))
    assert not list((root / "work").glob("**/*.ckpt"))


def test_a_run_on_record_is_not_trained_again(trained, monkeypatch):
    root, plan, _ = trained
    monkeypatch.setattr(runs, "start", lambda *_: pytest.fail("a process was started"))
    assert runs.train(plan.base[0], root / "work", root / "records")["name"] == "base"


def test_main_writes_the_collection_and_the_table_of_readme(trained, tmp_path, capsys):
    root, _, _ = trained
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{README_MARKS[0]}\nold\n{README_MARKS[1]}\nafter")
    flags = ["--plan", root / "plan.yaml", "--work", root / "work", "--records", root / "records"]
    flags += ["--out", tmp_path / "ablation.json", "--readme", readme]
    assert main(["base", "no-skips", *map(str, flags)]) == 0
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert [run["name"] for run in found["variants"]] == ["no-skips", "no-averaging"]
    assert found["noise"] is None
    assert readme.read_text() == (f"before\n{README_MARKS[0]}\n\n{ablation_table(found)}\n\n{README_MARKS[1]}\nafter")
    capsys.readouterr()
    assert main(["--list", *map(str, flags)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert ["on record" in line for line in listed] == [True, False, True]  # the base, its second seed, the variant


def test_a_training_that_fails_says_what_it_said_last(tmp_path, monkeypatch):
    monkeypatch.setenv("PETSEG_DATA_DIR", str(tmp_path))
    run = read_plan(plan_file(tmp_path)).base[0]
    with pytest.raises(DataError, match=r"(?s)base: training ended with status 1.*trainval\.txt: not there"):
        runs.train(run, tmp_path / "work", tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path, capsys):
    for version, content in (("version_0", None), ("version_1", b"half")):
        path = tmp_path / "runs" / version / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True)
        if content:
            path.write_bytes(content)
        else:
            torch.save({"epoch": 3}, path)
    assert last_epoch(tmp_path / "runs") == (tmp_path / "runs/version_0/checkpoints/last.ckpt", 4)
    assert "cut off" in capsys.readouterr().out


def test_a_record_of_another_recipe_does_not_count(plan, tmp_path):
    put(tmp_path, summary(plan.base[0], 0.6, recipe="00000000"))
    assert runs.read_summary(plan.base[0], tmp_path) is None


@pytest.mark.parametrize("damage", ["{", "[]", '{"val": 1}', "null"])
def test_a_damaged_summary_is_one_sentence(plan, tmp_path, damage):
    put(tmp_path, summary(plan.base[0], 0.6)).write_text(damage)
    with pytest.raises(DataError, match=r"summary\.json: damaged .*train base again") as error:
        runs.read_summary(plan.base[0], tmp_path)
    assert "\n" not in str(error.value)


def test_a_summary_without_a_finite_score_is_damaged(plan, tmp_path):
    put(tmp_path, summary(plan.base[0], float("nan")))
    with pytest.raises(DataError, match="a score is no number"):
        runs.read_summary(plan.base[0], tmp_path)


def test_noise_is_that_of_a_run_against_the_mean_of_the_seeds():
    found = noise([0.60, 0.61, 0.62])
    difference = (1 + 1 / 3) ** 0.5
    assert found == pytest.approx(
        {"mean": 0.61, "seeds": 1.0, "difference": difference, "limit": 4.3027 * difference}, rel=1e-4
    )  # 4.3027: Student's t of two degrees of freedom, from a printed table
    assert noise([0.6]) is None


def test_points_are_hundredths_above_the_mean_of_the_base_and_bold_beyond_chance(plan, tmp_path):
    for run, score in zip(plan.base, (0.60, 0.61), strict=True):
        put(tmp_path, summary(run, score))
    for score, points in ((0.4, "**-20.50**"), (0.5, "-10.50")):  # the limit is 12.7062 * 0.7071 * sqrt(1.5) = 11.00
        put(tmp_path, summary(plan.variants[0], score))
        found = collected(plan, tmp_path)
        assert found["variants"][0]["points"] == pytest.approx(100 * (score - 0.605))
        assert found["variants"][0]["limit"] == found["noise"]["limit"] == pytest.approx(11.004, abs=1e-3)
        table = ablation_table(found)
        assert "| nothing: the base | 0.6050 |  | 1,000 | 2.00 G | 3.2 | 4.0 min |" in table
        assert f"| no skip connections | {score:.4f} | {points} | 1,000 |" in table
    assert "mean of 2 seeds, whose standard deviation is 0.71 points" in table
    assert "within 11.00 points of it" in table


def test_raw_weights_are_held_against_the_averaged_ones_of_the_same_runs(plan, tmp_path):
    for run, score, raw in zip(plan.base, (0.60, 0.65), (0.612, 0.6622), strict=True):
        put(tmp_path, summary(run, score, raw))
    found = collected(plan, tmp_path)
    row = found["variants"][-1]
    assert (row["name"], row["score"], row["points"]) == ("no-averaging", 0.6371, 1.21)
    assert row["limit"] == pytest.approx(0.12706, abs=1e-4)  # 12.7062 * 0.01414 / sqrt(2): gains of 1.20 and 1.22
    table = ablation_table(found)  # far less than what the seeds differ by, and yet beyond chance
    assert "| no weight averaging | 0.6371 | **+1.21** |" in table
    assert "of the same runs" in table


def test_raw_weights_of_one_run_alone_say_nothing_of_chance(plan, tmp_path):
    put(tmp_path, summary(plan.base[0], 0.6, raw=0.61))
    row = collected(plan, tmp_path)["variants"][0]
    assert (row["points"], row["limit"]) == (1.0, None)
    assert "| +1.00 |" in ablation_table(collected(plan, tmp_path))


def test_minutes_of_another_machine_are_marked_and_what_the_base_takes_there_is_said(plan, tmp_path):
    put(tmp_path, summary(plan.base[0], 0.60))
    put(tmp_path, summary(plan.base[1], 0.61, host="a GPU, 16-mixed", seconds=60))
    put(tmp_path, summary(plan.variants[0], 0.52, host="a GPU, 16-mixed", seconds=90))
    table = ablation_table(collected(plan, tmp_path))
    assert "| 3.2 | 4.0 min |" in table
    assert "| 3.2 | 1.5 min¹ |" in table
    assert "Trained on 2 CPU threads, bf16-mixed; ¹ on a GPU, 16-mixed, where the base takes 1.0 min. Timed" in table


def test_what_is_not_on_record_is_left_out_of_the_table(plan, tmp_path):
    put(tmp_path, summary(plan.base[0], 0.6))
    table = ablation_table(collected(plan, tmp_path))
    assert "no skip connections" not in table
    assert "nothing is known of chance" in table
    assert ablation_table(collected(plan, tmp_path / "none")) == "No run is on record yet."


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


def test_unknown_names_and_readmes_without_marks_are_one_sentence(tmp_path, capsys):
    (tmp_path / "README.md").write_text("# petseg")
    flags = ["--plan", plan_file(tmp_path), "--records", tmp_path / "none", "--out", tmp_path / "a.json"]
    flags += ["--readme", tmp_path / "README.md"]
    assert main(["nonsense", *map(str, flags)]) == 1
    assert capsys.readouterr().err.startswith("petseg: nonsense: no run has this name. There are base, base-seed-2,")
    assert main(["--table", *map(str, flags)]) == 1
    assert "README.md: must hold '<!-- ablation" in capsys.readouterr().err


def test_a_run_whose_package_is_missing_is_left_out_and_said_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runs, "train", lambda *_: pytest.fail("it was trained"))
    variants = [{"name": "a", "change": "b", "needs": "no_such_package", "settings": {"average": {"decay": 0.5}}}]
    path = plan_file(tmp_path, variants=variants)
    (tmp_path / "README.md").write_text("\n".join(README_MARKS))
    flags = ["--plan", path, "--records", tmp_path, "--out", tmp_path / "a.json", "--readme", tmp_path / "README.md"]
    assert main(["a", *map(str, flags)]) == 0
    assert "left out: it needs no_such_package" in capsys.readouterr().out


def test_seeds_of_the_published_base_share_no_epoch():
    first, *others = read_plan().base
    seeds = [run.recipe["seed_everything"] for run in (first, *others)]
    epochs = {seed + epoch for seed in seeds for epoch in range(first.epochs)}
    assert len(epochs) == len(seeds) * first.epochs


def test_the_published_plan_gives_every_run_but_the_seeds_one_seed_and_builds_every_unet():
    plan = read_plan()
    assert len({run.recipe["seed_everything"] for run in plan.base}) == len(plan.base) >= 3
    assert {run.recipe["seed_everything"] for run in plan.variants} == {plan.base[0].recipe["seed_everything"]}
    known = set(SegmentationTask.__init__.__annotations__)
    for run in plan.trained:
        model = run.recipe["model"]
        assert set(model) <= known
        if model["encoder"] is None:
            SegmentationTask(**{key: value for key, value in model.items() if key != "augment"})
        PetDataModule(**run.recipe["data"])


def test_what_is_published_follows_from_the_records():
    path = CHECKOUT / "figures" / "ablation.json"
    if not path.is_file():
        pytest.skip("make ablation has not been run yet")
    assert course.ablation() == collected(read_plan(), CHECKOUT / "figures" / "runs" / "ablations")
    readme = (CHECKOUT / "README.md").read_text()
    assert between_marks(readme, README_MARKS, ablation_table(course.ablation()), "README.md") == readme


def test_the_reader_of_the_course_fails_in_one_sentence_where_nothing_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(course.record, "checkout", lambda: tmp_path)
    monkeypatch.setattr(course.record, "repository", lambda: "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"ablation\.json: could not be fetched"):
        course.ablation()


def test_logs_on_record_are_small(tmp_path):
    runs._write_log(
        tmp_path / "metrics.csv", {"lr-AdamW": [(1, 0.1)], "val/loss": [(2, 1 / 3)], "train/loss": [(1, 2.0)]}
    )
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "train/loss", "val/loss"], ["0", "2", ""], ["1", "", "0.33333"]]
