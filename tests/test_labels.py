import numpy as np

from petseg import labels


def test_labels_are_trimap_values_minus_one():
    trimap = np.array([[1, 2], [3, 1]], dtype=np.uint8)
    assert labels.labels_from_trimap(trimap).tolist() == [[0, 1], [2, 0]]


def test_class_order_is_pet_background_boundary():
    assert labels.CLASSES == ("pet", "background", "boundary")
    assert (labels.PET, labels.BACKGROUND, labels.BOUNDARY) == (0, 1, 2)


def test_class_colours_differ_in_brightness_too():
    luminance = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(labels.rgb, range(3)))
    assert luminance[1] - luminance[0] > 10
    assert luminance[2] - luminance[1] > 60


def test_the_palette_has_the_colours_in_class_order_and_then_the_ink():
    assert labels.palette_with_ink() == [*labels.rgb(0), *labels.rgb(1), *labels.rgb(2), *bytes.fromhex(labels.INK[1:])]


def test_the_hatch_covers_every_sixth_diagonal_of_the_boundary_alone():
    mask = np.full((12, 12), labels.BOUNDARY, dtype=np.uint8)
    mask[:, :6] = labels.PET
    lines = labels.hatch(mask)
    assert not lines[:, :6].any()
    assert lines[0].nonzero()[0].tolist() == [6]
    assert lines[1].nonzero()[0].tolist() == [11]
    assert lines.sum() == 12 * 6 / labels.HATCH_STEP
