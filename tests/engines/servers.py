"""A PostgreSQL server of the test's own: on a socket in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PLACES = "/usr/lib/postgresql"


def postgres_binaries() -> Path | None:
    """The folder with initdb and pg_ctl: Debian keeps them off the PATH."""
    found = (
        sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if Path(_PLACES).is_dir()
        else []
    )
    if found:
        return found[-1].parent
    named = shutil.which("initdb")
    return Path(named).resolve().parent if named else None


def _as_server(command: Sequence[str], folder: Path) -> None:
    """Run as a user PostgreSQL accepts: never root."""
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    result = subprocess.run(
        command,
        cwd=folder,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command[0]}: {result.stdout}\n{result.stderr}"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The DSN of a running server whose databases do not order text by bytes, as most servers' do not."""
    binaries = postgres_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="trust-pg-"))
    data = folder / "data"
    if os.geteuid() == 0:
        server = pwd.getpwnam("postgres")
        os.chown(folder, server.pw_uid, server.pw_gid)
    try:
        _as_server(
            [str(binaries / "initdb"), "--pgdata", str(data), "--username", "trust", "--auth", "trust",
             "--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US",
             "--no-sync"],
            folder,
        )  # fmt: skip
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=20"
        control = [str(binaries / "pg_ctl"), "--pgdata", str(data)]
        _as_server([*control, "--wait", "--log", str(folder / "log"), "--options", options, "start"], folder)
        try:
            yield f"host={folder} user=trust dbname=postgres"
        finally:
            _as_server([*control, "--mode", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
