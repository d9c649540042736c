"""buildah and podman without an engine: one storage of their own, and the base images."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".tools" / "image"
TAG = "localhost/sweeper:check"
CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
STORAGE = ("--root", str(HOME / "storage"), "--runroot", str(HOME / "run"))
PODMAN = ("podman", *STORAGE, "--runtime", "runc", "--cgroup-manager", "cgroupfs")
# What ECS and Lambda give or less: nothing can be written, no capability, no way to get one.
CONFINED = (
    *("--pull", "never", "--network", "host", "--read-only", "--read-only-tmpfs=false"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
)


def output(*command: str) -> str:
    """What a command printed; raises CalledProcessError."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
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


def provide_base(kind: str, image: str) -> str:
    """Have the base image, and say where it came from."""
    if _succeeds(*PODMAN, "image", "exists", image):
        return "there already"
    if _succeeds(*PODMAN, "pull", "--quiet", image):
        return "pulled"
    (_stand_in_for_uv if kind == "UV" else _stand_in_for_python)(image)
    return "no registry can be reached: a stand-in made here"


def build() -> None:
    """Build the image of the Dockerfile as it stands."""
    options = ("--isolation", "chroot", "--network", "host", "--pull-never", "--quiet")
    command = ("buildah", *STORAGE, "bud", *options, "--tag", TAG, ".")
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=ROOT)


def size(image: str) -> int:
    """The bytes of an image, its base included."""
    return int(output(*PODMAN, "image", "inspect", "--format", "{{.Size}}", image))


def release() -> None:
    """Undo the mounts that buildah and podman leave, so that the folder can be removed."""
    _succeeds("umount", "--recursive", str(HOME / "storage" / "overlay"))


def _succeeds(*command: str) -> bool:
    return not subprocess.run(command, check=False, capture_output=True).returncode


def _stand_in_for_python(image: str) -> None:
    """Debian 13, of which the official image is made, with Debian's Python 3.13."""
    system = HOME / "rootfs"
    shutil.rmtree(system, ignore_errors=True)
    packages = "--include=ca-certificates,python3"
    subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "trixie", str(system)],
        check=True,
        stdout=sys.stderr,
    )
    (system / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle:  # this machine's authorities, where it has its own
        shutil.copyfile(bundle, system / CA_BUNDLE)
    _import(
        system, image, f"ENV SSL_CERT_FILE=/{CA_BUNDLE}", "ENV PATH=/usr/local/bin:/usr/bin:/bin"
    )
    shutil.rmtree(system)


def _stand_in_for_uv(image: str) -> None:
    uv = shutil.which("uv", path=f"{os.environ.get('PATH')}:{ROOT / '.uv' / 'bin'}")
    if uv is None:
        raise RuntimeError("uv is not there: it is the base image's only content")
    folder = HOME / "uv"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(uv, folder / "uv")
    _import(folder, image)


def _import(folder: Path, image: str, *changes: str) -> None:
    archive = HOME / "base.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, arcname=".")
    options = [word for change in changes for word in ("--change", change)]
    output(*PODMAN, "import", "--quiet", *options, str(archive), image)
    archive.unlink()
