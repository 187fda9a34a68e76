import json
from dataclasses import asdict

import pytest

from petseg.errors import DataError
from petseg.training.transfer_runs import publish_runs, read_run, read_runs


def test_published_runs_are_read_again_in_order_and_without_false_precision(tmp_path, transfer_run):
    for run in (transfer_run(images=200), transfer_run(images=100, steps=30), transfer_run("frozen", images=100)):
        text = json.dumps({"settings": {"seed": 1}, "run": asdict(run)})
        (tmp_path / f"{run.name}-{run.steps}.json").write_text(text)
    out = tmp_path / "out" / "runs.json"
    assert publish_runs(tmp_path, out) == 3
    runs = read_runs(out)
    assert [(run.method, run.images, run.steps) for run in runs] == [
        ("frozen", 100, 10),
        ("scratch", 200, 10),
        ("scratch", 100, 30),
    ]
    assert runs[0].step_seconds == 0.123457
    assert runs[0].loss == [(5, 1.2), (10, 0.8)]


def test_a_published_run_stays_until_one_of_the_same_settings_is_published(tmp_path, transfer_run):
    def publish(rate, score):
        record = {"settings": {"learning_rate": rate}, "run": asdict(transfer_run(score=score))}
        folder = tmp_path / f"{rate}-{score}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(record))
        return publish_runs(folder, tmp_path / "runs.json")

    assert [publish(0.1, 0.5), publish(0.2, 0.6), publish(0.1, 0.7)] == [1, 2, 2]
    assert sorted(run.scores["mean_iou"] for run in read_runs(tmp_path / "runs.json")) == [0.6, 0.7]


def test_nothing_to_publish_and_a_damaged_record_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no finished run"):
        publish_runs(tmp_path, tmp_path / "runs.json")
    (tmp_path / "bad.json").write_text('[{"run": {"method": "scratch"}}]')
    with pytest.raises(DataError, match=r"bad\.json: holds no runs"):
        read_runs(tmp_path / "bad.json")
    with pytest.raises(DataError, match=r"bad\.json: holds no run that can be read"):
        read_run(tmp_path / "bad.json")
