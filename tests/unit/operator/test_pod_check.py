import subprocess

from haproxy_telemetry_operator.pod_check import check_script


def test_haproxys_arguments_stay_what_they_are() -> None:
    script = check_script(haproxy="/opt/it's", paths=["/a", "/b c"], volumes=["/d/0"])
    assert script.count("""'/opt/it'"'"'s' -c -f /a -f '/b c' 2>&1)""") == 2


def test_kubernetes_finds_nothing_to_replace() -> None:
    script = check_script(haproxy="haproxy", paths=["/a"], volumes=["/d/0", "/d/1"])
    assert "$$" not in script
    assert script.count("$(") == script.count("$(haproxy -c ") + script.count("$((")


def test_with_nothing_rewritten_nothing_is_run() -> None:
    script = check_script(haproxy="/nowhere/haproxy", paths=["/a"], volumes=["/nowhere"])
    run = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr == "haproxy-telemetry: nothing was rewritten, so there is nothing to check\n"
