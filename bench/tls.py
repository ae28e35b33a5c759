"""HTTP/2 over TLS in front of the sandbox: nghttpx with a certificate of a throw-away authority."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.processes import owned

PROGRAM = "nghttpx"
PACKAGE = "nghttp2-proxy"
HOST = "localhost"
START_TIMEOUT_S = 10.0
EXTRA_PATH = ("/usr/sbin", "/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Front:
    """A running proxy."""

    url: str
    ca_file: Path
    pid: int


def program() -> str | None:
    """Where nghttpx is, None if it is not installed."""
    return shutil.which(PROGRAM, path=os.pathsep.join([os.environ.get("PATH", ""), *EXTRA_PATH]))


@asynccontextmanager
async def front(binary: str, home: Path, backend_port: int) -> AsyncIterator[Front]:
    """A proxy that ends when we do: h2 over TLS in, plain HTTP/1.1 to the backend out."""
    ca_file, certificate, key = make_certificates(home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        binary,
        "--conf=/dev/null",
        f"--frontend=127.0.0.1,{port}",
        f"--backend=127.0.0.1,{backend_port}",
        f"--errorlog-file={home / 'nghttpx.log'}",
        "--workers=1",
        "--no-ocsp",
        "--backend-keep-alive-timeout=1m",
        "--frontend-http2-max-concurrent-streams=256",
        str(key),
        str(certificate),
    ]
    process = await asyncio.create_subprocess_exec(*owned(command))
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await _listens(port)
        yield Front(f"https://{HOST}:{port}", ca_file, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def make_certificates(home: Path) -> tuple[Path, Path, Path]:
    """A new authority and a certificate of it for localhost: (authority, certificate, key) as PEM files."""
    home.mkdir(parents=True, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench throw-away authority")])
    authority = (
        _begin(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    certificate = (
        _begin(name, ca_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    files = home / "ca.pem", home / "certificate.pem", home / "key.pem"
    files[0].write_bytes(authority.public_bytes(Encoding.PEM))
    files[1].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[2].touch(mode=0o600)
    files[2].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )
