"""Certificates for the servers of tests, from an authority that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme

__all__ = ['Certificate', 'certificate']


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 with its key in one file, and the authority that has signed it in another."""

    file: Path
    authority: Path


def certificate(folder: Path) -> Certificate:
    """Write a certificate into a folder."""
    authority = trustme.CA()
    made = Certificate(folder / 'certificate.pem', folder / 'authority.pem')
    authority.issue_cert('127.0.0.1').private_key_and_cert_chain_pem.write_to_path(str(made.file))
    authority.cert_pem.write_to_path(str(made.authority))
    return made
