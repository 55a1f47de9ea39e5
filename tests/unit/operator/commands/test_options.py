import argparse

import pytest

from haproxy_telemetry_operator.commands.options import DEFAULT_IMAGE, add_image_options, add_log_options, namespaces_of


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_image_options(parser)
    add_log_options(parser)
    return parser.parse_args(arguments)


def test_defaults() -> None:
    options = parsed()
    assert (options.image, options.image_pull_policy, options.no_user) == (DEFAULT_IMAGE, "IfNotPresent", False)
    assert (options.log_level, options.log_format) == ("info", "json")
    assert namespaces_of(options) == ()


@pytest.mark.parametrize(("text", "names"), [("b,a", ("a", "b")), (" a , ,a,", ("a",)), (",", ())])
def test_namespaces(text: str, names: tuple[str, ...]) -> None:
    assert namespaces_of(parsed("--watch-namespaces", text)) == names


@pytest.mark.parametrize("arguments", [["--image-pull-policy", "Often"], ["--log-level", "loud"], ["--log-format", "xml"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*arguments)
    assert caught.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
