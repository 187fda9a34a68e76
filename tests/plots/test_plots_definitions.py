import numpy as np

from petseg.plots import definitions

LEFT = np.zeros((4, 8), dtype=bool)
LEFT[1:3, 1:3] = True


def test_intersection_and_union_are_drawn_with_their_numbers_of_pixels():
    predicted = np.zeros((4, 4), dtype=bool)
    predicted[1:, 2:] = True
    figure = definitions.overlap(LEFT[:, :4], predicted)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["true: 4", "predicted: 6", "intersection: 2", "union: 8"]
    assert all(title in figure.alt for title in titles)
    drawn = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    assert np.array_equal(drawn[2], LEFT[:, :4] & predicted)


def test_two_animals_share_a_colour_in_semantic_segmentation_and_differ_in_instance_segmentation():
    image = np.full((4, 8, 3), 255, dtype=np.uint8)
    figure = definitions.vision_tasks(image, [LEFT, LEFT[:, ::-1]], "cat")
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes}

    def colors(name):
        return [layer.get_cmap()(0) for layer in panels[name].images[1:]]  # the first is the image

    semantic, instance, panoptic = (colors(f"{kind} segmentation") for kind in ("semantic", "instance", "panoptic"))
    assert semantic[0] == semantic[1] != semantic[2]
    assert len(instance) == len(set(instance)) == 2
    assert panoptic[:2] == instance
    assert panoptic[2] == semantic[2]


def test_a_box_encloses_all_pixels_of_its_animal():
    image = np.zeros((4, 8, 3), dtype=np.uint8)
    figure = definitions.vision_tasks(image, [LEFT, LEFT[:, ::-1]], "cat")
    box = figure.axes[2].patches[0]
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (0.5, 0.5, 2, 2)
