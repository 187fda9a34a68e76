"""The U-Net: published numbers, images of any size, and the same source as in notebook 02."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import torch
import torchinfo

from petseg.models import unet
from petseg.models.unet import UNet

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_build_the_unet.ipynb"


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    return UNet().eval()


@pytest.fixture(scope="module")
def cells() -> str:
    """The source of the notebook's cells that define the network."""
    sources = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    return "\n".join(
        source for source in sources if re.search(r"^(class (DoubleConv|UNet)|def conv)\b", source, re.MULTILINE)
    )


def functions(source: str) -> dict[str, list[str]]:
    """The statements of each function and method, without docstrings, types and comments."""
    statements = {}
    for parent in ast.walk(ast.parse(source)):
        for node in getattr(parent, "body", []) if isinstance(parent, ast.Module | ast.ClassDef) else []:
            if isinstance(node, ast.FunctionDef):
                for argument in node.args.args:
                    argument.annotation = None
                name = f"{parent.name}.{node.name}" if isinstance(parent, ast.ClassDef) else node.name
                code = [
                    statement for statement in node.body if not isinstance(getattr(statement, "value", 0), ast.Constant)
                ]
                statements[name] = [ast.unparse(node.args), *map(ast.unparse, code)]
    return statements


def test_the_package_has_the_notebooks_statements_in_the_same_order_and_adds_only_padding_check_and_settings(cells):
    written, shipped = functions(cells), functions(Path(unet.__file__).read_text(encoding="utf-8"))
    assert written.keys() == shipped.keys() == {"conv", "DoubleConv.__init__", "UNet.__init__", "UNet.forward"}
    assert [shipped[name] for name in ("conv", "DoubleConv.__init__")] == [
        written[name] for name in ("conv", "DoubleConv.__init__")
    ]
    added = {name: [line for line in shipped[name] if line not in lines] for name, lines in written.items()}
    for name, lines in written.items():
        common = [line for line in shipped[name] if line not in added[name]]
        assert common == [line for line in lines if line != "return x"]
    starts = [line.split(" ")[0] for line in added["UNet.__init__"]]
    assert starts == ["if", "settings", "self.settings"]
    assert added["UNet.forward"][0] == "H, W = x.shape[-2:]"
    assert added["UNet.forward"][-1] == "return x[..., :H, :W]"
    assert len(added["UNet.forward"]) == 4


def test_torchinfo_reports_the_published_totals(network):
    summary = torchinfo.summary(network, (16, 3, 128, 128), verbose=0)
    assert summary.total_params == 7_778_643
    assert f"{summary.total_mult_adds / 1e9:.2f}" == "17.01"
    text = str(summary)
    assert "Forward/backward pass size (MB): 595.59" in text
    assert "Params size (MB): 31.11" in text
    assert "Input size (MB): 3.15" in text
    assert sum(p.numel() for p in UNet(separable=True).parameters()) == 1_517_854


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 5), (32, 64), (127, 129), (75, 31)])
def test_logits_have_the_size_of_the_image(network, height, width):
    assert network(torch.rand(2, 3, height, width)).shape == (2, 3, height, width)


def test_a_size_that_is_no_multiple_of_32_is_padded_with_its_own_edge(network):
    image = torch.rand(1, 3, 50, 64)
    padded = torch.cat([image, image[:, :, -1:].expand(-1, -1, 14, -1)], dim=2)
    with torch.no_grad():
        torch.testing.assert_close(network(image), network(padded)[:, :, :50])


def test_every_parameter_gets_a_gradient():
    network = UNet(channels=(4, 8), separable=True)
    network(torch.rand(2, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("settings", [{"channels": ()}, {"channels": (16, 0)}, {"in_channels": 0}, {"num_classes": 0}])
def test_impossible_widths_are_refused_in_one_sentence(settings):
    with pytest.raises(ValueError, match="needs a stage, and every width at least 1"):
        UNet(**settings)
