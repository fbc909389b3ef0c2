"""Take pictures of pages with Chromium, without a window."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

__all__ = ['PictureError', 'shrink', 'take']

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
WIDTH = 1280
COLOURS = 256
_SECONDS = 180
# What the page's script writes into the root element when all is drawn.
_HEIGHT = re.compile(r'<html[^>]*data-height="(\d+)"')


class PictureError(Exception):
    """There is no browser, or it made no picture."""


def take(page: Path, picture: Path, theme: str, height: int | None = None) -> None:
    """Write a picture of a page in the theme `light` or `dark`, of its whole height or of so many pixels."""
    with TemporaryDirectory() as profile:
        address = f'{page.resolve().as_uri()}#{theme}'
        size = f'--window-size={WIDTH},1200'
        if height is None:
            match = _HEIGHT.search(_run(profile, size, '--dump-dom', address))
            if match is None:
                raise PictureError(f'{page}: the page was not drawn')
            height = int(match[1])
        _run(profile, f'--window-size={WIDTH},{height}', f'--screenshot={picture.resolve()}', address)
    if not picture.exists():
        raise PictureError(f'{page}: the browser made no picture')
    shrink(picture)


def shrink(picture: Path) -> None:
    """Rewrite a picture with a palette: a page has few colours, and the file becomes a third of its size."""
    with Image.open(picture) as image:
        # The median cut mixes rare colours, as that of a red number is, with others. Maximum coverage keeps them; the
        # means after it bring back those of large areas.
        small = image.convert('RGB').quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


def _run(profile: str, *arguments: str) -> str:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise PictureError('no Chromium: install the package chromium to take pictures')
    options = (
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--hide-scrollbars',
        '--virtual-time-budget=20000',
        f'--user-data-dir={profile}',
    )
    try:
        done = subprocess.run(
            [browser, *options, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise PictureError(f'{browser} failed: {error}') from error
    return done.stdout
