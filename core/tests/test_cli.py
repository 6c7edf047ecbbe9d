"""The command line: listings, files in and out, exit codes, interrupts."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_problems import line

from solvary.cli import main


def call(*arguments):
    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def json_of(*arguments):
    result = call(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("command", ["solvers", "problems", "backends"])
def test_every_listing_speaks_json(command):
    code, rows = json_of(command)
    assert code == 0
    assert rows
    assert call(command).stdout


def test_solvers_are_queried():
    _, rows = json_of("solvers", "--problem", "tiny.nearest", "--paper", "tiny method")
    assert [row["solver"] for row in rows] == ["descent"]
    _, ranked = json_of("solvers", "--problem", "tiny.nearest", "--instance", "plane")
    refused = next(row for row in ranked if row["solver"] == "one-shot")
    assert (refused["usable"], refused["why"]) == (False, "has 2 dimensions; only 1 is handled")


def test_info_shows_options_and_claims():
    code, record = json_of("info", "descent")
    assert code == 0
    assert {option["name"] for option in record["options"]} == {"rate", "steps"}
    assert record["claims"][0]["id"] == "halves"
    assert "a number > 0 and <= 1" in call("info", "descent").stdout


def test_solving_an_instance(tmp_path):
    output = tmp_path / "out.npz"
    code, record = json_of(
        "solve",
        "tiny.nearest",
        "--instance",
        "line(n=3)",
        "--solver",
        "descent",
        "-o",
        "rate=0.25",
        "--output",
        str(output),
    )
    assert code == 0
    assert record["provenance"]["options"]["rate"] == 0.25
    np.testing.assert_allclose(np.load(output)["answer"], np.ones(3), atol=1e-6)
    assert json.loads(output.with_suffix(".json").read_text())["measures"] == record["measures"]


def test_solving_a_file(tmp_path):
    line(2).write(tmp_path / "p.npz")
    code, record = json_of(
        "solve", "tiny.nearest", "--input", str(tmp_path / "p.npz"), "-f", "budget=7", "--solver", "asker"
    )
    assert code == 0
    assert record["status"] == "LIMIT_CALLS"
    assert record["measures"]["calls.distance"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve", "tiny.nearest"), "give either --instance or --input"),
        (("solve", "tiny.nearest", "--instance", "lime"), "'line'"),
        (("solve", "tiny.nearest", "--instance", "line(n=)"), "cannot read"),
        (("solve", "tiny.nearest", "--instance", "line", "-f", "m=3"), "m: is not an option"),
        (("solve", "tiny.neares", "--instance", "line"), "tiny.nearest"),
        (("solve", "tiny.nearest", "--instance", "line", "--solver", "descent", "-o", "rates=1"), "'rate'"),
        (("solve", "tiny.nearest", "--instance", "line", "--solver", "descent", "-o", "rate=2"), "rate: got '2'"),
        (("solve", "tiny.nearest", "--instance", "line", "--backend", "cuda", "--solver", "descent"), "cuda"),
        (("solve", "tiny.nearest", "--instance", "line", "--seed", "x"), "seed"),
        (("solve", "tiny.nearest", "--input", "nothing.npz"), "does not exist"),
        (("solve", "tiny.nearest", "--instance", "plane", "--solver", "one-shot"), "only 1 is handled"),
        (("info", "decent"), "'descent'"),
        (("verify",), "--all"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_failure_is_exit_code_1():
    assert call("solve", "tiny.nearest", "--instance", "line", "--solver", "nan").exit_code == 1
    result = call("solve", "tiny.nearest", "--instance", "line", "--solver", "raiser")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr


def test_comparing_with_a_plot(tmp_path):
    plot = tmp_path / "c.svg"
    code, rows = json_of(
        "compare",
        "tiny.nearest",
        "--instance",
        "line",
        "--solver",
        "descent",
        "--solver",
        "one-shot",
        "--plot",
        str(plot),
    )
    assert code == 0
    assert {row["solver"] for row in rows} == {"descent", "one-shot"}
    assert "<svg" in plot.read_text()
    assert call("compare", "tiny.nearest", "--instance", "line", "--solver", "raiser").exit_code == 1


def test_verify_prints_claimed_beside_measured():
    result = call("verify", "descent")
    assert result.exit_code == 0
    assert "<= 0.5" in result.stdout
    code, record = json_of("verify", "descent", "--size", "full")
    assert (code, record[0]["outcome"]) == (0, "holds")


def test_training_writes_an_artifact(tmp_path):
    path = tmp_path / "model.npz"
    result = call(
        "train",
        "tiny.policy",
        "--instance",
        "threshold",
        "--solver",
        "learner",
        "-o",
        "epochs=8",
        "--output",
        str(path),
    )
    assert result.exit_code == 0
    code, record = json_of(
        "solve", "tiny.policy", "--instance", "threshold", "--solver", "learner", "--artifact", str(path)
    )
    assert code == 0
    assert record["provenance"]["artifact"].endswith("model.npz")


def test_doctor_names_what_is_broken(install, registry):
    assert call("doctor").exit_code == 0
    install("broken-plugin", "raise RuntimeError('at import')")
    registry.refresh()
    result = call("doctor")
    assert result.exit_code == 1
    assert "at import" in result.stdout
    code, record = json_of("doctor")
    assert code == 1
    assert record["faults"][0]["distribution"] == "broken-plugin"
    assert "1 faults in plugins" in call("solvers").stderr


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="sends SIGINT to a process")
def test_ctrl_c_reports_the_best_answer_so_far(tmp_path):
    asleep = tmp_path / "asleep"
    environment = {**os.environ, "TINY_ASLEEP": str(asleep)}
    command = [
        sys.executable,
        "-m",
        "solvary.cli",
        "solve",
        "tiny.nearest",
        "--instance",
        "line",
        "--solver",
        "sleeper",
        "--json",
    ]
    # Shells start background jobs with SIGINT ignored, and children inherit that.
    listening = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=listening
    )
    deadline = time.monotonic() + 60
    while not asleep.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    record = json.loads(out)
    assert process.returncode == 130, err
    assert record["status"] == "STOPPED"
    assert record["measures"]["distance"] == 0.5
    assert err == ""  # in a pipe there is no progress
