from collections import Counter

import pytest

from petseg.data.splits import Example, first_fraction, read_split, validation_names
from petseg.errors import DataError


def test_validation_has_the_same_fraction_of_every_breed():
    examples = [Example(f"{breed}_{i}", k, "cat") for k, breed in enumerate(("A", "b", "C_c")) for i in range(100)]
    chosen = Counter(name.rpartition("_")[0] for name in validation_names(examples))
    assert chosen == {"A": 10, "b": 10, "C_c": 10}


def test_validation_does_not_depend_on_the_order():
    examples = [Example(f"pug_{i}", 1, "dog") for i in range(50)]
    assert validation_names(examples) == validation_names(reversed(examples))
    # recorded once: the same on every machine
    assert sorted(validation_names(examples, 0.06)) == ["pug_32", "pug_46", "pug_48"]


def test_a_fraction_of_the_train_split_has_as_much_of_each_breed_and_is_part_of_a_larger_fraction():
    examples = [Example(f"{breed}_{n}", 1, "cat") for n in range(40) for breed in ("Bombay", "Sphynx")]
    quarter, half = (set(first_fraction(examples, fraction)) for fraction in (0.25, 0.5))
    assert quarter < half
    assert Counter(examples[index].breed for index in quarter) == {"Bombay": 10, "Sphynx": 10}
    assert Counter(examples[index].breed for index in half) == {"Bombay": 20, "Sphynx": 20}
    assert first_fraction(examples, 1.0) == list(range(80))
    assert len(first_fraction(examples, 0.001)) == 2  # at least one of each
    names = {examples[index].name for index in half}
    assert names == {examples[::-1][index].name for index in first_fraction(examples[::-1], 0.5)}


def write_list(folder, *lines):
    (folder / "annotations").mkdir()
    (folder / "annotations/test.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_a_list_is_read_without_its_byte_order_mark_comments_and_empty_lines(tmp_path):
    lines = "\ufeffAbyssinian_201 1 1 1", "#Image CLASS-ID SPECIES BREED ID", "", "saint_bernard_3 37 2 25"
    write_list(tmp_path, *lines)
    first, second = read_split(tmp_path, "test")
    assert (first.breed, first.class_id, first.species) == ("Abyssinian", 1, "cat")
    assert (second.breed, second.class_id, second.species) == ("saint_bernard", 37, "dog")


@pytest.mark.parametrize("species", [0, -1, 3])
def test_an_unknown_species_is_refused_with_file_and_line(tmp_path, species):
    write_list(tmp_path, "# header", "pug_2 1 2 1", f"pug_1 1 {species} 1")
    with pytest.raises(DataError, match=rf"test\.txt, line 3: .*: species {species}, expected 1 \(cat\) or 2 \(dog\)"):
        read_split(tmp_path, "test")


def test_a_missing_list_and_one_without_a_name_are_refused_with_the_remedies(tmp_path):
    remedies = r"missing\. Fetch.*petseg data oxford. \(with --dir if.*data_dir, or PETSEG_DATA_DIR where.*cartoon"
    with pytest.raises(DataError, match=remedies):
        read_split(tmp_path, "test")
    write_list(tmp_path, "# header")
    with pytest.raises(DataError, match=r"test\.txt: names no image"):
        read_split(tmp_path, "test")


@pytest.mark.real_data
def test_official_splits_have_3680_and_3669_examples_of_37_breeds(oxford):
    folder = oxford / "oxford-iiit-pet"
    trainval, test = read_split(folder, "trainval"), read_split(folder, "test")
    assert (len(trainval), len(test)) == (3680, 3669)
    assert len({e.breed for e in trainval}) == len({e.class_id for e in test}) == 37
    per_breed = Counter(name.rpartition("_")[0] for name in validation_names(trainval))
    assert len(per_breed) == 37
    assert set(per_breed.values()) <= {9, 10}
