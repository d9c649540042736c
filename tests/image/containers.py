"""buildah and podman without an engine: a storage of their own, the base images, and the image."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.uv import ROOT, uv

HOME = ROOT / ".tools" / "image"
TAG = "localhost/sweeper:check"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
STORAGE = ("--root", str(HOME / "storage"), "--runroot", str(HOME / "run"))
PODMAN = ("podman", *STORAGE, "--runtime", "runc", "--cgroup-manager", "cgroupfs")
# What ECS and Lambda give or less: nothing can be written, no capability, no way to get one.
CONFINED = (
    *("--pull", "never", "--network", "host", "--read-only", "--read-only-tmpfs=false"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
)


def output(*command: str) -> str:
    """What a command printed; raises RuntimeError with what it said when it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def run_command(
    *options: str, environment: Mapping[str, str], image_arguments: Sequence[str] = ()
) -> list[str]:
    """The command that runs the image, confined."""
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    return [*PODMAN, "run", "--rm", *CONFINED, *variables, *options, TAG, *image_arguments]


def bases() -> Iterator[tuple[str, str]]:
    """The base images that the Dockerfile names: argument and image."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    yield from re.findall(r"^ARG (PYTHON|UV)=(\S+)$", text, re.MULTILINE)


def missing() -> str:
    """Why the image cannot be built and run here; empty where it can.

    With REQUIRE_CONTAINERS=1 it is tried all the same, and fails.
    """
    if os.environ.get("REQUIRE_CONTAINERS"):
        return ""
    if os.geteuid():
        return "only root can build and run the image without an engine"
    absent = [name for name in ("buildah", "podman", "runc") if not shutil.which(name)]
    return f"missing: {', '.join(absent)} (apt-get install {' '.join(absent)})" if absent else ""


def provide() -> None:
    """Build the image of the Dockerfile as it stands; processes that ask at once build it once."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for kind, image in bases():
            _provide_base(kind, image)
        options = ("--isolation", "chroot", "--network", "host", "--pull-never")
        # What has not changed is taken from the build before; a failed one leaves no mounts behind.
        cached = ("--layers", "--force-rm")
        output("buildah", *STORAGE, "bud", *options, *cached, "--quiet", "--tag", TAG, ".")


def _provide_base(kind: str, image: str) -> None:
    """Have the base image: pulled, or, where no registry can be reached, a stand-in made here."""
    for attempt in ("image", "exists"), ("pull", "--quiet"):
        if not subprocess.run(
            (*PODMAN, *attempt, image), check=False, capture_output=True
        ).returncode:
            return
    (_stand_in_for_uv if kind == "UV" else _stand_in_for_python)(image)


def size(image: str) -> int:
    """The bytes of an image, its base included."""
    return int(output(*PODMAN, "image", "inspect", "--format", "{{.Size}}", image))


def release() -> None:
    """Undo the mount that podman leaves, so that the folder can be removed.

    It stays mounted while another process of the run has a container there.
    """
    place = str(HOME / "storage" / "overlay")
    subprocess.run(("umount", place), check=False, capture_output=True)


def _stand_in_for_python(image: str) -> None:
    """The packages of Debian 13, of which the official image is made, with its Python 3.13.

    They are unpacked, and their scripts are not run, which takes a tenth of the time.
    """
    if not shutil.which("mmdebstrap"):
        reason = (
            f"{image} cannot be pulled, and mmdebstrap is missing, which makes a stand-in for it"
        )
        (pytest.fail if os.environ.get("REQUIRE_CONTAINERS") else pytest.skip)(reason)
    own = os.environ.get("SSL_CERT_FILE")  # this machine's authorities, where it has its own
    authorities = own or '"$1"/usr/share/ca-certificates/mozilla/*.crt'
    archive = HOME / "base.tar"
    output(
        *(
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            "--include=base-files,ca-certificates,libstdc++6,python3",
        ),
        '--extract-hook=ln -s python3 "$1"/usr/bin/python',
        f'--extract-hook=cat {authorities} > "$1"{CA_BUNDLE}',
        *("trixie", str(archive)),
    )
    _import(
        archive, image, f"ENV SSL_CERT_FILE={CA_BUNDLE}", "ENV PATH=/usr/local/bin:/usr/bin:/bin"
    )


def _stand_in_for_uv(image: str) -> None:
    archive = HOME / "base.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(uv(), arcname="uv")  # the image's only content
    _import(archive, image)


def _import(archive: Path, image: str, *changes: str) -> None:
    options = [word for change in changes for word in ("--change", change)]
    output(*PODMAN, "import", "--quiet", *options, str(archive), image)
    archive.unlink()
