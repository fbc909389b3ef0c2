"""Certificates for the servers of tests, from an authority that nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, cast

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID

__all__ = ['Certificate', 'certificate', 'certificate_with_its_issuer_at']


class Certificate(NamedTuple):
    """A certificate with its key in one file, and the authority that has signed it in another."""

    file: Path
    authority: Path


def certificate(folder: Path, *hosts: str, valid_in: timedelta = timedelta()) -> Certificate:
    """Write a certificate for these hosts, or for 127.0.0.1, into a folder. It is valid for a day around that time."""
    authority = trustme.CA()
    made = Certificate(folder / 'certificate.pem', folder / 'authority.pem')
    middle, half = datetime.now(UTC) + valid_in, timedelta(hours=12)
    leaf = authority.issue_cert(*(hosts or ('127.0.0.1',)), not_before=middle - half, not_after=middle + half)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(made.file))
    authority.cert_pem.write_to_path(str(made.authority))
    return made


def certificate_with_its_issuer_at(url: str, folder: Path) -> Certificate:
    """Write the same, of a certificate that says that of its authority can be had at a URL."""
    authority = trustme.CA()
    leaf = authority.issue_cert('127.0.0.1')
    issued = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    there = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))
    builder = (
        x509.CertificateBuilder(issued.issuer, issued.subject, issued.public_key(), issued.serial_number)
        .not_valid_before(issued.not_valid_before_utc)
        .not_valid_after(issued.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address('127.0.0.1'))]), critical=False)
        .add_extension(x509.AuthorityInformationAccess([there]), critical=False)
    )
    key = cast(EllipticCurvePrivateKey, load_pem_private_key(authority.private_key_pem.bytes(), None))
    made = Certificate(folder / 'certificate.pem', folder / 'authority.pem')
    made.file.write_bytes(leaf.private_key_pem.bytes() + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    authority.cert_pem.write_to_path(str(made.authority))
    return made
