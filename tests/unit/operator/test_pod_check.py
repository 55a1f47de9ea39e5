import subprocess

from haproxy_telemetry_operator.pod_check import check_command, check_script


def test_haproxys_arguments_stay_what_they_are() -> None:
    arguments = ["-f", "/etc/it's $(HERE)", "-f", "/b c"]
    command = check_command(["/d/0"], arguments, program="/opt/haproxy")
    assert command[:3] == ["/bin/sh", "-c", check_script(["/d/0"])]
    assert command[4:] == ["/opt/haproxy", *arguments]


def test_kubernetes_finds_nothing_to_replace() -> None:
    script = check_script(["/d/0", "/d/1"])
    assert "$$" not in script
    assert script.count("$(") == script.count('$("$program" -c ') + script.count("$((")


def test_with_nothing_rewritten_nothing_is_run() -> None:
    run = subprocess.run(check_command(["/nowhere"], ["-f", "/a"]), capture_output=True, text=True, check=True)
    assert run.stderr == "haproxy-telemetry: nothing was rewritten, so there is nothing to check\n"
