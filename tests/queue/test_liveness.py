"""Whether another process lives: by its pid and start time here, by its heartbeat elsewhere."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from media_mcp.queue import liveness
from media_mcp.queue.liveness import dead, process_start, this_instance

NOW = 1_800_000_000.0


def test_this_process_lives_while_its_heart_beats():
    me = replace(this_instance(), heartbeat=NOW)
    assert not dead(me, NOW + 14)
    assert dead(me, NOW + 16)


def test_a_process_of_this_host_that_ended_is_dead_at_once():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert dead(replace(this_instance(), pid=child.pid, heartbeat=NOW), NOW)


@pytest.mark.skipif(sys.platform != "linux", reason="start times are read from /proc")
def test_a_zombie_and_a_reused_pid_are_dead():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(child.pid) is None
    child.wait()
    assert dead(replace(this_instance(), started="boot:1", heartbeat=NOW), NOW)


def test_a_process_elsewhere_is_judged_by_its_heartbeat_alone():
    other = replace(this_instance(), host="elsewhere", pid=2**22 + 1, heartbeat=NOW)
    assert not dead(other, NOW + 14)
    assert dead(other, NOW + 16)


def test_without_proc_a_signal_tells_whether_the_process_is_there(monkeypatch, tmp_path):
    monkeypatch.setattr(liveness, "PROC", tmp_path)
    assert process_start(os.getpid()) == ""
    assert process_start(1) == ""
    assert process_start(2**22 + 1) is None
    assert "pid:" not in liveness.this_host()
    me = replace(this_instance(), heartbeat=NOW)
    assert (me.started, dead(me, NOW)) == ("", False)


def test_on_windows_no_signal_is_sent(monkeypatch, tmp_path):
    monkeypatch.setattr(liveness, "PROC", tmp_path)
    monkeypatch.setattr(sys, "platform", "win32")
    assert process_start(2**22 + 1) == ""


def test_a_signal_that_is_not_permitted_means_that_the_process_lives(monkeypatch, tmp_path):
    def refuse(pid, signal):
        raise PermissionError

    monkeypatch.setattr(liveness, "PROC", tmp_path)
    monkeypatch.setattr(os, "kill", refuse)
    assert process_start(1) == ""
